"""`python -m oneira` is `oneira`."""

import sys

from oneira.cli.main import main

sys.exit(main())
