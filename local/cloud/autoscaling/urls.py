"""Application Auto Scaling's one URL."""

from local.cloud.autoscaling.responses import AutoScalingResponse

url_bases = [r"https?://application-autoscaling\.(.+)\.amazonaws.com"]
url_paths = {"{0}/$": AutoScalingResponse.dispatch}
