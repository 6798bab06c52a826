"""Reports of this machine's kernel about OOM kills and other causes of an exit."""
