"""What tests import: servers, trainers, studies, commands. Tests import nothing of each other."""
