"""A page to look at clips: sound, what the model sees, labels and scores.

Loads no TensorFlow.

audio.py      a clip's sound and log-mel spectrogram, as a browser takes them
clips.py      which clips, and all that files know of each
page.py       one HTML page that holds everything, or asks a server
server.py     the server, on this machine alone
inspect.*     the page's markup, style and script
"""
