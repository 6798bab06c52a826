"""Characters that are not seen: two texts look alike by them, or one is shown in another order than read."""

from __future__ import annotations

UNSEEN = (
    # Unicode's Default_Ignorable_Code_Point: soft hyphens, fillers, zero-width characters, directional
    # marks, overrides and isolates, variation selectors, tags.
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
    # Line and paragraph separators, the braille pattern without dots, annotations between lines.
    r"\u2028\u2029\u2800\ufff9-\ufffb"
)
"""As they stand in a regular expression, between brackets."""
