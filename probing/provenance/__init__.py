"""How what is embedded was made: the demo corpus and the model. Nothing else imports this."""
