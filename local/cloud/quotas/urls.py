"""The URL of Service Quotas."""

from local.cloud.quotas.responses import QuotasResponse

url_bases = [r"https?://servicequotas\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/$": QuotasResponse.dispatch}
