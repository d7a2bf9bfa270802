"""What the service answers itself: recommendations, prompts, feedback, and how it is."""
