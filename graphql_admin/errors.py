"""Every error that a client of this server can meet.

AdminError
├── Refusal                    top-level `errors`, as `extensions.code`
│   ├── MalformedRequest       BAD_REQUEST                    not GraphQL over HTTP
│   ├── NotFound               NOT_FOUND                      nothing is at this path
│   ├── MethodNotAllowed       METHOD_NOT_ALLOWED
│   ├── NotAcceptable          NOT_ACCEPTABLE
│   ├── UnsupportedMediaType   UNSUPPORTED_MEDIA_TYPE
│   ├── PayloadTooLarge        PAYLOAD_TOO_LARGE
│   ├── UriTooLong             URI_TOO_LONG
│   ├── RequestTimedOut        REQUEST_TIMEOUT                the body came too slowly
│   ├── MisdirectedRequest     MISDIRECTED_REQUEST            not an allowed host
│   ├── PersistedQueryNotSupported  PERSISTED_QUERY_NOT_SUPPORTED  a hash without its document
│   ├── ParseFailed            GRAPHQL_PARSE_FAILED           not GraphQL
│   ├── ValidationFailed       GRAPHQL_VALIDATION_FAILED      not valid for the schema
│   ├── QueryTooComplex        QUERY_TOO_COMPLEX              too deep, too many aliases, …
│   ├── TooManyErrors          TOO_MANY_ERRORS                there are more than are reported
│   ├── QueryTooExpensive      QUERY_TOO_EXPENSIVE            too many calls to Cognito
│   ├── ResponseTooLarge       RESPONSE_TOO_LARGE             too much data, or repeated too often
│   ├── OperationNotFound      OPERATION_RESOLUTION_FAILURE   no or more than one such operation
│   ├── Unauthenticated        UNAUTHENTICATED                no valid token
│   ├── Forbidden              FORBIDDEN                      a valid token without the right
│   ├── BadUserInput           BAD_USER_INPUT                 a value is invalid
│   ├── InvalidCursor          INVALID_CURSOR                 the cursor is not of this list
│   ├── AmbiguousUser          AMBIGUOUS_USER                 more than one user matches
│   ├── AuditUnavailable       AUDIT_UNAVAILABLE              the change cannot be recorded
│   ├── AuthorityUnavailable   AUTHORITY_UNAVAILABLE          the caller's rights cannot be read
│   ├── Overloaded             OVERLOADED                     too many of one caller's requests
│   ├── ShuttingDown           SHUTTING_DOWN                  this process takes no more requests
│   ├── Throttled              THROTTLED                      Cognito's quotas are used up
│   ├── TimedOut               TIMEOUT                        Cognito took too long
│   ├── UpstreamFailed         UPSTREAM_ERROR                 Cognito failed or rejected us
│   └── Internal               INTERNAL                       a fault of this server
└── ActionFailed               `errors` of a mutation's payload: expected, for the app to handle
    ├── UserNotFound           USER_NOT_FOUND
    ├── GroupNotFound          GROUP_NOT_FOUND
    ├── ThingNotFound          NOT_FOUND
    ├── WrongState             WRONG_STATE
    ├── AlreadyExists          ALREADY_EXISTS
    ├── LimitExceeded          LIMIT_EXCEEDED
    ├── ThingNotFound          NOT_FOUND                      a device, sign-in event, …
    ├── RejectedByTrigger      REJECTED_BY_TRIGGER
    ├── PasswordRejected       PASSWORD_REJECTED
    ├── DeliveryFailed         DELIVERY_FAILED
    ├── NotEnabled             NOT_ENABLED
    ├── Stale                  STALE
    ├── OutOfScope             OUT_OF_SCOPE
    ├── OwnAccount             OWN_ACCOUNT
    └── Conflict               CONFLICT

A `BadUserInput` in a mutation is an expected failure too: its code in the payload is INVALID_VALUE.
A `UserNotFound` or `GroupNotFound` in a query becomes null; in `_entities`, also an error. So does
a `NotEnabled` for a list below a user: the list is null, and its error in the top-level `errors`.
"""

from collections.abc import Iterator
from typing import ClassVar


class AdminError(Exception):
    """An error with a stable code and a message that is safe to show to any client.

    Args:
        message: For people; contains no message of Cognito. Default: the class's own.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    """HTTP status if the error is the whole response."""

    message: str = ""
    remedy: ClassVar[str]
    """What a client does about it, in Markdown: for the documentation."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or type(self).message
        super().__init__(self.message)


class Refusal(AdminError):
    """An error of the request, reported in the response's top-level `errors`."""


class MalformedRequest(Refusal):
    """The request does not follow the GraphQL-over-HTTP specification."""

    code = "BAD_REQUEST"
    status = 400
    message = "This is not a GraphQL request."
    remedy = "Correct the request."


class NotFound(Refusal):
    """Nothing is served at this path."""

    code = "NOT_FOUND"
    status = 404
    message = "Nothing is served at this path."
    remedy = "Correct the URL."


class MethodNotAllowed(Refusal):
    """The HTTP method is not allowed here.

    Args:
        message: For people.
        allowed: The allowed methods, for the `Allow` header.
    """

    code = "METHOD_NOT_ALLOWED"
    status = 405
    message = "Use POST, or GET for a query."
    remedy = "Use POST, or GET for a query."

    def __init__(
        self, message: str | None = None, *, allowed: str = "GET, HEAD, OPTIONS, POST"
    ) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotAcceptable(Refusal):
    """The client accepts no JSON."""

    code = "NOT_ACCEPTABLE"
    status = 406
    message = "Accept application/graphql-response+json or application/json."
    remedy = "Accept `application/graphql-response+json` or `application/json`."


class UnsupportedMediaType(Refusal):
    """The body is not JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    message = "Send a body of the type application/json, in UTF-8."
    remedy = "Send a body of the type `application/json`, in UTF-8."


class PayloadTooLarge(Refusal):
    """The body is longer than this server reads."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413
    message = "The request is too large."
    remedy = "Send less at a time."


class UriTooLong(Refusal):
    """The query string is longer than this server reads."""

    code = "URI_TOO_LONG"
    status = 414
    message = "The URL is too long. Use POST."
    remedy = "Use POST."


class RequestTimedOut(Refusal):
    """The client did not send its request within the deadline. Nothing was changed."""

    code = "REQUEST_TIMEOUT"
    status = 408
    message = "The request did not arrive in time. Nothing was changed."
    remedy = "Try again."


class MisdirectedRequest(Refusal):
    """The request is for a host that is not allowed."""

    code = "MISDIRECTED_REQUEST"
    status = 421
    message = "This server does not serve the host that the request names."
    remedy = "Correct the URL, or the server's `ALLOWED_HOSTS`."


class PersistedQueryNotSupported(Refusal):
    """The request has the hash of a document in place of the document.

    The message and the status are those by which clients of Apollo's automatic persisted queries
    know that they have to send documents.
    """

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    status = 200
    message = "PersistedQueryNotSupported"
    remedy = "Send the document, and no hash. Apollo's clients and urql do so by themselves."


class ParseFailed(Refusal):
    """The document is not GraphQL."""

    code = "GRAPHQL_PARSE_FAILED"
    status = 400
    message = "The document is not valid GraphQL."
    remedy = "Correct the document."


class ValidationFailed(Refusal):
    """The document is not valid for the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"
    status = 400
    message = "The document is not valid for the schema."
    remedy = "Correct the document."


class QueryTooComplex(Refusal):
    """The document or its variables exceed a limit.

    The document is too long or too deep, or has too many aliases, directives, fragments or root
    fields; or the variables have too many values.
    """

    code = "QUERY_TOO_COMPLEX"
    status = 400
    message = "The document is too complex."
    remedy = "Send less at a time."


class QueryTooExpensive(Refusal):
    """The query takes, or may take, too many calls to Cognito, or has too many representations."""

    code = "QUERY_TOO_EXPENSIVE"
    status = 400
    message = "The query takes too many calls to the user pool. Ask for less at a time."
    remedy = "Ask for less at a time."


class ResponseTooLarge(Refusal):
    """The query reads too much data, counted as often as aliases may repeat it in the response."""

    code = "RESPONSE_TOO_LARGE"
    status = 400
    message = "The response would be too large. Ask for less at a time, and with fewer aliases."
    remedy = "Ask for less at a time, and with fewer aliases."


class TooManyErrors(Refusal):
    """The last of more errors than a response may have; the message says how many are left out."""

    code = "TOO_MANY_ERRORS"
    status = 200
    message = "There are more errors."
    remedy = "Handle the errors before it."


class OperationNotFound(Refusal):
    """The document does not have the operation, or has several and `operationName` is missing."""

    code = "OPERATION_RESOLUTION_FAILURE"
    status = 400
    message = "`operationName` must name one of the document's operations."
    remedy = "Name one of the document's operations in `operationName`."


class Unauthenticated(Refusal):
    """The request has no token, or not a valid one."""

    code = "UNAUTHENTICATED"
    status = 401
    message = "A valid token is required."
    remedy = "Refresh the token, or let the user sign in again."


class Forbidden(Refusal):
    """The caller does not have the right to do this."""

    code = "FORBIDDEN"
    status = 403
    message = "You are not allowed to do this."
    remedy = "Show the message. Offer only what `viewer { actions }` lists."


class BadUserInput(Refusal):
    """A value in the request is invalid; `extensions.field` may say which.

    Args:
        message: What is wrong with it, without repeating the value.
        field: Name of the argument or input field, as in the schema.
    """

    code = "BAD_USER_INPUT"
    status = 400
    message = "A value in the request is not valid."
    remedy = "Correct the value."

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidCursor(Refusal):
    """The cursor was modified, has expired, or belongs to another list."""

    code = "INVALID_CURSOR"
    status = 400
    message = "The cursor is not valid for this list. Start again without one."
    remedy = "Read the list from its start, without a cursor."


class CannotLink(BadUserInput):
    """Cognito does not accept an identity at a provider, for one of two reasons."""

    message = (
        "The user pool does not accept this identity: it has no such provider, or the identity "
        "already has a user of its own."
    )


class AmbiguousUser(Refusal):
    """More than one user has this e-mail address or phone number."""

    code = "AMBIGUOUS_USER"
    status = 409
    message = "More than one user matches. Look the user up by username or sub."
    remedy = "Look the user up by `username` or `sub`."


class AuditUnavailable(Refusal):
    """The change could not be recorded in the audit log. Nothing was changed."""

    code = "AUDIT_UNAVAILABLE"
    status = 503
    message = "Changes cannot be recorded at the moment, so none are made. Nothing was changed."
    remedy = "Show the message. Try again later."


class AuthorityUnavailable(Refusal):
    """The caller's current rights could not be read from the user pool. Nothing was changed."""

    code = "AUTHORITY_UNAVAILABLE"
    status = 503
    message = "The user pool did not say whether you may still do this. Nothing was changed."
    remedy = "Try again shortly."


class Overloaded(Refusal):
    """The caller has too many requests in flight. Nothing was changed."""

    code = "OVERLOADED"
    status = 503
    message = "The server is handling too many requests. Try again shortly."
    remedy = "Try again after `Retry-After` seconds."


class ShuttingDown(Refusal):
    """This process finishes its requests and accepts no new ones; another process may."""

    code = "SHUTTING_DOWN"
    status = 503
    message = "The server is shutting down. Try again; another may answer."
    remedy = "Try again."


class Throttled(Refusal):
    """Cognito's quotas do not allow the call in time. Nothing was changed.

    Args:
        message: For people.
        retry_after: Seconds after which a retry may succeed.
    """

    code = "THROTTLED"
    status = 429
    message = "Too many requests to the user pool. Try again shortly."
    remedy = "Try again after `extensions.retryAfter` seconds."

    def __init__(self, message: str | None = None, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TimedOut(Refusal):
    """Cognito took too long. A change may or may not have been made."""

    code = "TIMEOUT"
    status = 504
    message = "The user pool did not answer in time. A change may or may not have been made."
    remedy = "Send a query again. After a mutation, read first whether the change was made."


class UpstreamFailed(Refusal):
    """Cognito failed, or rejected this server's credentials; 503 while there are no keys."""

    code = "UPSTREAM_ERROR"
    status = 502
    message = "The user pool could not be reached or refused the call."
    remedy = "Send a query again. After a mutation, read first whether the change was made."


class Internal(Refusal):
    """A fault of this server; see its log."""

    code = "INTERNAL"
    status = 500
    message = "Something went wrong on the server."
    remedy = "Show the message, and tell those who run the server."


class ActionFailed(AdminError):
    """An expected way for an action to fail, reported in its payload.

    Args:
        message: For people.
        field: The input field that the error is about. Default: the class's own.
    """

    field: str | None = None
    remedy = "Show the message."

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field or type(self).field


class UserNotFound(ActionFailed):
    """The user pool has no such user."""

    code = "USER_NOT_FOUND"
    status = 404
    message = "There is no such user."
    remedy = "Show the message. Read the list again."
    field = "username"


class DevicesNotShown(UserNotFound):
    """The user pool lists no devices, most likely because there is no such user."""

    message = (
        "The user pool does not show devices of this user. Most likely, there is no such user."
    )


class GroupNotFound(ActionFailed):
    """The user pool has no such group."""

    code = "GROUP_NOT_FOUND"
    status = 404
    message = "There is no such group."
    remedy = "Show the message. Read the list again."
    field = "groupName"


class ThingNotFound(ActionFailed):
    """The user has no such session, device, sign-in event or identity."""

    code = "NOT_FOUND"
    status = 404
    message = "The user has no such thing."
    remedy = "Show the message. Read the list again."


class SessionNotFound(ThingNotFound):
    """The session has ended, or is another user's."""

    message = "The user has no such session; it may have ended already."
    field = "sessionId"


class DeviceNotFound(ThingNotFound):
    """The user has no such device."""

    message = "The user has no such device."
    field = "deviceKey"


class AuthEventNotFound(ThingNotFound):
    """The user has no such sign-in event."""

    message = "The user has no such sign-in event."
    field = "eventId"


class IdentityNotFound(ThingNotFound):
    """The user has no such identity."""

    message = "The user has no such identity."
    field = "userId"


class WrongState(ActionFailed):
    """The state of the user or group does not allow the action."""

    code = "WRONG_STATE"
    status = 409
    message = "The user's current status does not allow this."
    remedy = "Show the message. Read the target again."
    field = "username"


class CannotReset(WrongState):
    """The user's password cannot be reset, for one of two reasons that Cognito does not tell."""

    message = (
        "The password of this user cannot be reset now: they are disabled or have not signed in "
        "yet, or have no verified e-mail address or phone number to send a code to."
    )


class CannotSetMfa(WrongState):
    """The user's MFA cannot be set so, for one of several reasons that Cognito does not tell."""

    message = (
        "This cannot be set for the user now: they have not set up a factor that the input names, "
        "or have no verified e-mail address or phone number to send its codes to, or the user pool "
        "does not use the factor."
    )


class NoTotp(WrongState):
    """The user has no authenticator app, or their status does not allow to delete it."""

    message = "The user has no authenticator app that can be deleted."


class NotInvited(WrongState):
    """The user has no invitation to send again."""

    message = "Only a user who was invited and has not signed in yet can be invited again."


class PartlyDone(WrongState):
    """Cognito replied with success, but did not make the change as it was requested."""


class AlreadyExists(ActionFailed):
    """An object with this name already exists."""

    code = "ALREADY_EXISTS"
    status = 409
    message = "It already exists."
    remedy = "Ask for another name."


class UsernameTaken(AlreadyExists):
    """Another user has the username."""

    message = "There is a user with this username already."
    field = "username"


class IdentityTaken(AlreadyExists):
    """The user has the identity already, or another user has."""

    message = "The identity is linked to a user already."
    field = "value"


class LimitExceeded(ActionFailed):
    """A quota of the user pool's resources is used up."""

    code = "LIMIT_EXCEEDED"
    status = 409
    message = "A quota of the user pool is used up."


class TooManyIdentities(LimitExceeded):
    """The user has as many identities as Cognito allows."""

    message = "The user has as many identities as Cognito allows."


class RejectedByTrigger(ActionFailed):
    """A Lambda trigger of the user pool rejected the action or failed."""

    code = "REJECTED_BY_TRIGGER"
    status = 409
    message = "A Lambda trigger of the user pool rejected the action."


class PasswordRejected(ActionFailed):
    """The password does not meet the user pool's password policy."""

    code = "PASSWORD_REJECTED"
    status = 400
    message = "The password does not meet the user pool's policy."
    remedy = "Show the message. Ask for another password."
    field = "password"


class TemporaryPasswordRejected(PasswordRejected):
    """The user pool's password policy does not admit the temporary password."""

    field = "temporaryPassword"


class PasswordUsedBefore(PasswordRejected):
    """The user had the password before, and the pool's password policy does not allow that."""

    message = "The user has had this password before."


class DeliveryFailed(ActionFailed):
    """Cognito could not send its message. The change itself may have been made."""

    code = "DELIVERY_FAILED"
    status = 502
    message = "The user pool could not send its message. The change itself may have been made."
    remedy = "Read the user. If the change was made, let the message be sent again."


class InvitationNotSent(DeliveryFailed):
    """Cognito could not send an invitation, to a user who is in the pool."""


class NotEnabled(ActionFailed):
    """The user pool's plan or settings do not support the action."""

    code = "NOT_ENABLED"
    status = 409
    message = "The user pool's plan or settings do not support this."
    remedy = "Show the message. Do not offer the action."


class Stale(ActionFailed):
    """The target is not the one that the caller expects, or has changed since it was read."""

    code = "STALE"
    status = 409
    message = "The target has changed since you read it. Read it again."
    remedy = "Read the target again, and show the user what changed."


class OutOfScope(ActionFailed):
    """The user has, or the group gives, more rights than the caller has, or one is protected."""

    code = "OUT_OF_SCOPE"
    status = 403
    message = "You may not do this to this user or group."
    remedy = "Show the message. Offer only what `allowedActions` of the user or group lists."


class OwnAccount(ActionFailed):
    """The caller may do this to other users, but not to themselves."""

    code = "OWN_ACCOUNT"
    status = 403
    message = "You cannot do this to your own account."
    remedy = "Show the message. Offer only what `allowedActions` of the user lists."


class Conflict(ActionFailed):
    """The caller's own rights are being taken, or were; or the user's are, or are changing."""

    code = "CONFLICT"
    status = 409
    message = "A concurrent change conflicts with this one. Try again in half a minute."
    remedy = "Try again in half a minute."


def leaves(kind: type[AdminError] = AdminError) -> Iterator[type[AdminError]]:
    """Yield the errors that are raised, from their tree: those that have a code."""
    for subclass in kind.__subclasses__():
        if "code" in vars(subclass):
            yield subclass
        yield from leaves(subclass)


def payload_code(error: AdminError | type[AdminError]) -> str:
    """Return an error's code as a mutation reports it."""
    kind = error if isinstance(error, type) else type(error)
    return "INVALID_VALUE" if issubclass(kind, BadUserInput) else kind.code
