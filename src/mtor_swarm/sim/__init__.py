"""The embedded simulator: SDF worlds compiled to MuJoCo, sensors, the judge, the ROS side."""
