"""What detect.py does around the Detector: frames in, files out, all at the same time."""
