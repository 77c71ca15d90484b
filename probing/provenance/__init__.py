"""How what is embedded was made: the demo corpus and the pretrained model. Nothing else imports
this.
"""
