"""An adapter for an app as it is, drafted from what the app asks when it is run without faults."""
