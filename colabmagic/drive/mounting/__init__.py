"""Drive as a folder: by Colab's means, or by FUSE."""
