"""The models that Lockstep moves: one package each, with data contract, features, training and gates."""
