"""Where people and programs come in: the web app and the viewer's static page."""
