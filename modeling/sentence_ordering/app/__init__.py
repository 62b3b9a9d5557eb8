"""The page on which orderers are tried out; needs gradio, which comes with the extra `app`."""
