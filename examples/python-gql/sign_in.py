"""Print an access token, for scripts that run with AWS credentials.

How to run it:

    export USER_POOL_ID=eu-west-1_AbCdEf123 CLIENT_ID=4h57kuexample
    TOKEN=$(PASSWORD=… python sign_in.py ada)

The app client must have ALLOW_ADMIN_USER_PASSWORD_AUTH, and the credentials
cognito-idp:AdminInitiateAuth.
"""

import os
import sys

import boto3


# docs: sign in
def sign_in(username: str, password: str) -> str:
    pool_id = os.environ["USER_POOL_ID"]
    cognito = boto3.client("cognito-idp", region_name=pool_id.partition("_")[0])
    reply = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=os.environ["CLIENT_ID"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    if "AuthenticationResult" not in reply:  # a new password or a second factor is asked for
        sys.exit(f"Cognito asks for {reply['ChallengeName']}: sign in through an app first.")
    return reply["AuthenticationResult"]["AccessToken"]


# docs: end


if __name__ == "__main__":
    print(sign_in(sys.argv[1], os.environ["PASSWORD"]))
