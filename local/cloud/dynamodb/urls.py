"""The URL of DynamoDB."""

from local.cloud.dynamodb.responses import DynamoResponse

url_bases = [r"https?://dynamodb\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/": DynamoResponse.dispatch}
