"""What many exits say together: shares and trends of reasons, and brackets of memory limits. Pure."""
