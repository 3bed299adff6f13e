"""A double of Google's package of this name: what `colabmagic` calls, and no more.

Like the real one it lies in the namespace package ``google``, beside google-auth.
"""
