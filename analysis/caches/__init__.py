"""What analyses read of a cache: blocks of layers, and the audio behind it."""
