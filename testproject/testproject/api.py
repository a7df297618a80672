from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Hello(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["read"]

    def get(self, request: Request) -> Response:
        token = request.auth
        client_id = token.application.client_id
        # A client that acts for itself has a token without a user.
        name = token.user.get_username() if token.user else client_id
        return Response({"hello": name, "client_id": client_id, "scope": token.scope})


hello = Hello.as_view()
