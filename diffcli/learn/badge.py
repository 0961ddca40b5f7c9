"""A badge for a README: a small SVG."""

from html import escape

WIDTH_OF_A_CHARACTER, PADDING, HEIGHT = 6.6, 8, 20


def svg(label: str, text: str, share: float) -> str:
    """A label and a text beside it, on a ground that goes from grey to green with the share, 0 to 1."""
    left, right = (round(len(word) * WIDTH_OF_A_CHARACTER) + 2 * PADDING for word in (label, text))
    red, green, blue = (round(a + (b - a) * min(max(share, 0), 1)) for a, b in ((120, 30), (120, 140), (120, 60)))
    words = [(label, left / 2), (text, left + right / 2)]
    drawn = "".join(f'<text x="{x:g}" y="14" text-anchor="middle">{escape(word)}</text>' for word, x in words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(label)}: {escape(text)}"><rect width="{left}" height="{HEIGHT}" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="rgb({red},{green},{blue})"/>'
        f'<g fill="#fff" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11">{drawn}</g></svg>\n'
    )
