# The provider that judges in CI: the version that the table in ../differences.py was made for.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
