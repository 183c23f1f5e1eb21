"""What the same rows say of several classifiers, of later looks, and of other class priors."""
