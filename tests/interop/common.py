"""What the clients' tests share: the harness of the end-to-end tests, and npm's folder."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../e2e"), HERE]
import harness
import npm


def node_folder():
    """Ends the test, skipped, where there is none."""
    args = harness.arguments()
    folder = os.path.join(os.path.dirname(os.path.abspath(args.build)), "npm")
    if npm.install(folder) is None:
        sys.exit(77)
    return folder
