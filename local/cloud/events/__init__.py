"""EventBridge: rules that fire their targets."""
