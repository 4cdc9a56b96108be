"""Many runs of the same thing: how far they lie apart, what that lets a gate find, and where they changed."""
