"""One module a command; `lockstep.main` imports a module when its command is called."""
