"""The app: started, kept, stopped."""
