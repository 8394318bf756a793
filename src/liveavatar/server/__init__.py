"""The page and the programming interface of `liveavatar serve`: portraits and speech in, videos out, on this machine.

`http` knows requests and nothing of avatars; `studio` keeps files and runs jobs; `app` puts both together. Work runs in
processes beside the event loop.
"""
