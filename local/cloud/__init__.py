"""The embedded cloud: AWS's services on one loopback port, with the behaviour an ML environment relies on."""
