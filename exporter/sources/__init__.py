"""Where exits come from; each kind of source is a folder."""
