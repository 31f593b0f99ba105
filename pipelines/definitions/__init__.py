"""The pipelines, written with the SageMaker SDK and compiled ahead of time to JSON that lies beside this file.

Nothing but `compile` imports the SDK: who deploys reads the JSON. It is free of any environment; where a value of the
environment belongs stands a token, `${lockstep:name}`.
"""
