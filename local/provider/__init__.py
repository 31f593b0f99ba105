"""A local `aws` plugin for the Pulumi engine: the official plugin's types and behaviour, over any AWS endpoint."""

VERSION = "7.51.1"
