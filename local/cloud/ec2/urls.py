"""The URL of EC2."""

from local.cloud.ec2.responses import Ec2Response

url_bases = [r"https?://ec2\.(.+)\.amazonaws\.com(|\.cn)"]
url_paths = {"{0}/": Ec2Response.dispatch}
