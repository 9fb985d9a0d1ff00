"""A service that sells tours: it holds a seat, charges a card, and issues a pass. It knows nothing of sagafuzz."""
