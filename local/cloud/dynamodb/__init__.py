"""DynamoDB: moto's, with calls of one account taking turns, so that a condition and its write are one."""
