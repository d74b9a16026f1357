"""Programs that run as children, each in a process of its own.

They import nothing of firstlight and run on any Python from 3.8 on, so that the app's own interpreter can run them too.
Each prints JSON objects on its standard output, one a line, and exits with 0 also when the news is bad: the news is the answer.
A step is printed as soon as it is known, so that the last line before a hang says where it hangs.
"""
