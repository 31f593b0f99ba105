"""The URL of STS."""

from local.cloud.sts.responses import StsResponse

url_bases = [r"https?://sts\.(.*\.)?amazonaws\.com"]
url_paths = {"{0}/$": StsResponse.dispatch}
