"""Use cases of the library of images.

Public to other nouns: `image_copy`.
"""
