"""What tests import: servers, trainers, studies and commands. Test modules and conftests import nothing of each other."""
