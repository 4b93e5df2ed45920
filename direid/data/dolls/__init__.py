"""How a paper doll is drawn: tubes on a canvas, clothes, a head, a body, a place to stand in."""
