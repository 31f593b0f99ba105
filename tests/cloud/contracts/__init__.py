"""What Lockstep takes for granted about AWS, of the services that LocalStack's free edition has too: each test runs against both."""
