"""The nouns, as frozen slotted dataclasses with tuples inside. No behaviour beyond reading themselves.

Where a field is a tuple of pairs it stands for a mapping and is sorted by key, so that equal things
compare equal and plans are the same byte for byte.
"""
