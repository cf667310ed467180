"""Between units: gossip, tasks and behaviours. Nothing here knows of ROS."""
