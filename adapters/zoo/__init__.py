"""The bug zoo: systems that are wrong in one thing each, as systems in the field were."""
