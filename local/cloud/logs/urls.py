"""The URL of CloudWatch Logs."""

from local.cloud.logs.responses import LogsResponse

url_bases = [r"https?://logs\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/$": LogsResponse.dispatch}
