"""STS: credentials of roles, by the roles' trust policies."""
