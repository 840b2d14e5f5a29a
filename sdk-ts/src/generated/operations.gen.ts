// This file is generated from openapi/posthouse.json: run `make gen`, do not edit.

import { type Api, Resource } from '../api.js';
import type { ChangeOptions, CreateOptions, RawBody, RequestOptions } from '../options.js';
import type { Pages } from '../pages.js';
import type { EventStream } from '../stream.js';
import type * as t from './types.gen.js';

export type {
  Account,
  AccountLimitExceededEvent,
  AccountPatch,
  AccountQuotaWarningEvent,
  AddressInput,
  AddressesInput,
  ApiKey,
  ApiKeyPatch,
  AppPassword,
  AppendedMail,
  Attempt,
  AuditEntry,
  BatchResult,
  BatchResults,
  BulkActionName,
  ChangedIds,
  CheckedAddress,
  CreatedApiKey,
  CreatedAppPassword,
  CreatedWebhook,
  Delivery,
  DeliveryBouncedEvent,
  DeliveryCanceledEvent,
  DeliveryComplainedEvent,
  DeliveryDeferredEvent,
  DeliveryDeliveredEvent,
  DeliveryEventData,
  DeliveryEventReport,
  DeliveryExpandedEvent,
  DeliveryExpiredEvent,
  DeliveryFailedEvent,
  DeliveryHeldEvent,
  DeliveryPreview,
  DeliveryRelayedEvent,
  DeliveryReleasedEvent,
  DeliverySuppressedEvent,
  DeliveryUnrecognizedEvent,
  Destination,
  DkimKey,
  DkimRotatedEvent,
  DkimRotatedEventData,
  DkimRotation,
  DkimRotationRequest,
  DkimSettings,
  DkimSettingsPatch,
  DnsRecord,
  Domain,
  DomainCheck,
  DomainChecks,
  DomainDegradedEvent,
  DomainEventData,
  DomainPatch,
  DomainRecords,
  DomainVerifiedEvent,
  EventTls,
  EventType,
  FormerWebhookSecret,
  GrantType,
  HeaderFields,
  Health,
  Hold,
  HoldPatch,
  ImportFault,
  ImportResult,
  InboundRoute,
  InboundRouteAction,
  InboundRouteActionType,
  InboundRouteHeader,
  InboundRouteMatch,
  InboundRoutePatch,
  InboundRouteTest,
  InboundRouteTestResult,
  Jwk,
  JwkSet,
  LaneRule,
  LaneRules,
  LimitEventData,
  Limits,
  LimitsPatch,
  ListAccount,
  ListApiKey,
  ListAppPassword,
  ListAuditEntry,
  ListCheckedAddress,
  ListDelivery,
  ListDestination,
  ListDkimKey,
  ListDomain,
  ListEvent,
  ListEventType,
  ListHold,
  ListInboundRoute,
  ListLoginAttempt,
  ListMail,
  ListMailAttachment,
  ListMailbox,
  ListMessage,
  ListMtaStsPolicy,
  ListOutgoingTlsReport,
  ListRoute,
  ListSandboxMessage,
  ListSession,
  ListSuppression,
  ListSuppressionChange,
  ListTemplate,
  ListTemplateVersion,
  ListThread,
  ListTlsReportSuppression,
  ListTransport,
  ListWebhook,
  ListWebhookDelivery,
  ListWebhookReplay,
  LoginAttempt,
  LoginEventData,
  LoginNewAddressEvent,
  Mail,
  MailAddress,
  MailAttachment,
  MailBulk,
  MailBulkItem,
  MailBulkResult,
  MailChanges,
  MailCreatedEvent,
  MailDeletedEvent,
  MailDeletedEventData,
  MailDetail,
  MailDroppedEvent,
  MailDroppedEventData,
  MailEventAttachment,
  MailEventData,
  MailEventEnvelope,
  MailEventHeaders,
  MailEventRoute,
  MailEventRouting,
  MailEventSkipped,
  MailHeaderField,
  MailHeaders,
  MailPatch,
  MailPlace,
  MailReceivedEvent,
  MailRedelivery,
  MailState,
  MailUpdatedEvent,
  MailUpdatedEventData,
  Mailbox,
  MailboxPatch,
  Message,
  MessageAcceptedEvent,
  MessageBatch,
  MessageContent,
  MessageEventData,
  MessageEventDelivery,
  MessagePatch,
  MessageRejectedEvent,
  MessageRejectedEventData,
  MessageScheduledEvent,
  MtaStsPolicy,
  MultipartMessage,
  NamedAddress,
  NewAccount,
  NewApiKey,
  NewAppPassword,
  NewDkimKey,
  NewDomain,
  NewFile,
  NewForward,
  NewHold,
  NewInboundRoute,
  NewLaneRules,
  NewMailbox,
  NewMessage,
  NewReply,
  NewRoute,
  NewSuppression,
  NewTemplate,
  NewTemplateVersion,
  NewTlsReportSuppression,
  NewTransport,
  NewWebhook,
  NewWebhookReplay,
  OmittedRecord,
  OutgoingTlsReport,
  OutgoingTlsReportDestination,
  OwnAccountPatch,
  PasswordChange,
  Pause,
  PreviewDane,
  PreviewHold,
  PreviewHost,
  PreviewLimits,
  PreviewPolicy,
  PreviewProblem,
  PreviewTransport,
  Problem,
  ProblemCode,
  ProblemFault,
  ProblemKind,
  PublishTemplate,
  Queue,
  QueueBulk,
  QueueBulkResult,
  QueueSelection,
  QuotaEventData,
  RecipientUnsubscribedEvent,
  RedeliveredMail,
  RenderTemplate,
  RenderedTemplate,
  Resend,
  Route,
  RoutePatch,
  SandboxFault,
  SandboxFaults,
  SandboxMessage,
  Session,
  ShownTemplate,
  SignatureScheme,
  Submission,
  SubmittedDelivery,
  Suppression,
  SuppressionChange,
  SuppressionChanges,
  SuppressionCheck,
  SuppressionCreatedEvent,
  SuppressionDeletedEvent,
  SuppressionEventData,
  SuppressionTarget,
  Template,
  TemplatePatch,
  TemplateUse,
  TemplateVersion,
  Thread,
  ThreadDetail,
  Tls,
  TlsReportSuppression,
  TokenRequest,
  TokenRevocation,
  Tokens,
  Transport,
  TransportPatch,
  Unsubscribe,
  UnsubscribeEventData,
  Upload,
  Validation,
  Version,
  Webhook,
  WebhookDelivery,
  WebhookDisabledEvent,
  WebhookEventData,
  WebhookPatch,
  WebhookPayload,
  WebhookReplay,
  WebhookSecret,
  WebhookSecretRotation,
  WebhookStatistics,
  WebhookTest,
  WebhookTestEvent,
  WebhookTotals,
} from './types.gen.js';

/**
 * Any event, told apart by its `type`. A newer server may send types that this version does not
 * know: ignore them.
 */
export type AnyEvent =
  | t.AccountLimitExceededEvent
  | t.AccountQuotaWarningEvent
  | t.DeliveryBouncedEvent
  | t.DeliveryCanceledEvent
  | t.DeliveryComplainedEvent
  | t.DeliveryDeferredEvent
  | t.DeliveryDeliveredEvent
  | t.DeliveryExpandedEvent
  | t.DeliveryExpiredEvent
  | t.DeliveryFailedEvent
  | t.DeliveryHeldEvent
  | t.DeliveryRelayedEvent
  | t.DeliveryReleasedEvent
  | t.DeliverySuppressedEvent
  | t.DeliveryUnrecognizedEvent
  | t.DkimRotatedEvent
  | t.DomainDegradedEvent
  | t.DomainVerifiedEvent
  | t.LoginNewAddressEvent
  | t.MailCreatedEvent
  | t.MailDeletedEvent
  | t.MailDroppedEvent
  | t.MailReceivedEvent
  | t.MailUpdatedEvent
  | t.MessageAcceptedEvent
  | t.MessageRejectedEvent
  | t.MessageScheduledEvent
  | t.RecipientUnsubscribedEvent
  | t.SuppressionCreatedEvent
  | t.SuppressionDeletedEvent
  | t.WebhookDisabledEvent
  | t.WebhookTestEvent;

export class AccountResource extends Resource {
  /**
   * Get one's own account
   *
   * The account of the credential, or the one that an administrator acts for.
   *
   * Scope: `account:read` or `admin:read`.
   */
  getOwn(options?: RequestOptions): Promise<t.Account> {
    return this.api.call<t.Account>({ method: 'GET', path: '/v1/account' }, options);
  }

  /**
   * Change one's own account
   *
   * A JSON merge patch of what its owner may change. The rest is at `/v1/accounts/{id}`, for
   * administrators.
   *
   * Scope: `account:write`.
   */
  updateOwn(body: t.OwnAccountPatch, options?: ChangeOptions): Promise<t.Account> {
    return this.api.call<t.Account>({ method: 'PATCH', path: '/v1/account', body, type: 'application/json' }, options);
  }

  /**
   * List app passwords
   *
   * Those of the caller's account, newest first.
   *
   * Scope: `account:read`.
   */
  listAppPasswords(query?: t.ListAppPasswordsData['query'], options?: RequestOptions): Pages<t.AppPassword> {
    return this.api.pages<t.AppPassword>({ method: 'GET', path: '/v1/account/app-passwords', query }, options);
  }

  /**
   * Create an app password
   *
   * For one mail program, device or application, as SMTP credentials: with an address of the account
   * it lets in over SMTP (AUTH PLAIN, LOGIN and SCRAM-SHA-256) and HTTP Basic. The answer has the
   * password in `password`; it is never shown again. An account has at most 50.
   *
   * Scope: `account:write`.
   */
  createAppPassword(body: t.NewAppPassword, options?: CreateOptions): Promise<t.CreatedAppPassword> {
    return this.api.call<t.CreatedAppPassword>({ method: 'POST', path: '/v1/account/app-passwords', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get an app password
   *
   * Everything but the password itself.
   *
   * Scope: `account:read`.
   */
  getAppPassword(id: string, options?: RequestOptions): Promise<t.AppPassword> {
    return this.api.call<t.AppPassword>({ method: 'GET', path: `/v1/account/app-passwords/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Revoke an app password
   *
   * The next login with it fails; who is logged in stays so until the connection ends.
   *
   * Scope: `account:write`.
   */
  deleteAppPassword(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/account/app-passwords/${encodeURIComponent(id)}` }, options);
  }

  /**
   * List login attempts
   *
   * Attempts to log in to the account with a password, successful or not, at all doors, of the last
   * 30 days; those that look alike are one, the last first. Uses of API keys are not among them: see
   * `last_used_at` of the key.
   *
   * Scope: `account:read`.
   */
  listLoginAttempts(query?: t.ListLoginAttemptsData['query'], options?: RequestOptions): Pages<t.LoginAttempt> {
    return this.api.pages<t.LoginAttempt>({ method: 'GET', path: '/v1/account/login-attempts', query }, options);
  }

  /**
   * Change the password
   *
   * The present password is to be shown, whatever the credential; a wrong one counts as a failed
   * login. API keys and app passwords go on working: delete those that should not.
   *
   * Scope: `account:write`.
   */
  changePassword(body: t.PasswordChange, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'POST', path: '/v1/account/password', body, type: 'application/json' }, options);
  }

  /**
   * List sessions
   *
   * Those of the account that hold, newest first.
   *
   * Scope: `account:read`.
   */
  listSessions(query?: t.ListSessionsData['query'], options?: RequestOptions): Pages<t.Session> {
    return this.api.pages<t.Session>({ method: 'GET', path: '/v1/account/sessions', query }, options);
  }

  /**
   * Revoke a session
   *
   * Its tokens hold no longer, within a second on every node.
   *
   * Scope: `account:write`.
   */
  revokeSession(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/account/sessions/${encodeURIComponent(id)}` }, options);
  }
}

export class AccountsResource extends Resource {
  /**
   * List accounts
   *
   * All accounts, newest first.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListAccountsData['query'], options?: RequestOptions): Pages<t.Account> {
    return this.api.pages<t.Account>({ method: 'GET', path: '/v1/accounts', query }, options);
  }

  /**
   * Create an account
   *
   * With its addresses, password and first mailboxes.
   *
   * Scope: `admin:write`.
   */
  create(body: t.NewAccount, options?: CreateOptions): Promise<t.Account> {
    return this.api.call<t.Account>({ method: 'POST', path: '/v1/accounts', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get an account
   *
   * Any account for an administrator; else the caller's own.
   *
   * Scope: `admin:read` or `account:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Account> {
    return this.api.call<t.Account>({ method: 'GET', path: `/v1/accounts/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete an account
   *
   * With its addresses, keys and mail; what it had is erased within the hour, contents a day later.
   * Refused while messages of it wait for delivery.
   *
   * Scope: `admin:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/accounts/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change an account
   *
   * A JSON merge patch: absent fields stay as they are.
   *
   * Scope: `admin:write`.
   */
  update(id: string, body: t.AccountPatch, options?: ChangeOptions): Promise<t.Account> {
    return this.api.call<t.Account>({ method: 'PATCH', path: `/v1/accounts/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * Get the limits of an account
   *
   * Any account for an administrator; else the caller's own.
   *
   * Scope: `admin:read` or `account:read`.
   */
  getLimits(id: string, options?: RequestOptions): Promise<t.Limits> {
    return this.api.call<t.Limits>({ method: 'GET', path: `/v1/accounts/${encodeURIComponent(id)}/limits` }, options);
  }

  /**
   * Change the limits of an account
   *
   * A JSON merge patch. A new account has no limits. A message over a limit is refused as a whole,
   * with `sending_limit_exceeded` and `Retry-After`, or 451 by SMTP; one that goes to the sandbox
   * does not count. A request over the limit is answered with 429; the answers of an account with
   * such a limit carry `RateLimit-Policy` and `RateLimit`.
   *
   * Scope: `admin:write`.
   */
  updateLimits(id: string, body: t.LimitsPatch, options?: RequestOptions): Promise<t.Limits> {
    return this.api.call<t.Limits>({ method: 'PATCH', path: `/v1/accounts/${encodeURIComponent(id)}/limits`, body, type: 'application/json' }, options);
  }
}

export class ApiKeysResource extends Resource {
  /**
   * List API keys
   *
   * Keys of the caller's account, for administrators of all accounts, or with `Posthouse-Account`
   * those of that one; newest first.
   *
   * Scope: `account:read` or `admin:read`.
   */
  list(query?: t.ListApiKeysData['query'], options?: RequestOptions): Pages<t.ApiKey> {
    return this.api.pages<t.ApiKey>({ method: 'GET', path: '/v1/api-keys', query }, options);
  }

  /**
   * Create an API key
   *
   * The answer has the secret in `key`; it is never shown again.
   *
   * Scope: `account:write` or `admin:write`.
   */
  create(body: t.NewApiKey, options?: CreateOptions): Promise<t.CreatedApiKey> {
    return this.api.call<t.CreatedApiKey>({ method: 'POST', path: '/v1/api-keys', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get an API key
   *
   * Everything but the secret.
   *
   * Scope: `account:read` or `admin:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.ApiKey> {
    return this.api.call<t.ApiKey>({ method: 'GET', path: `/v1/api-keys/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete an API key
   *
   * It stops working within a second.
   *
   * Scope: `account:write` or `admin:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/api-keys/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change an API key
   *
   * A JSON merge patch: absent fields stay as they are. The key may become weaker, or stay within
   * what the caller may do; its secret stays. It takes effect within a second.
   *
   * Scope: `account:write` or `admin:write`.
   */
  update(id: string, body: t.ApiKeyPatch, options?: ChangeOptions): Promise<t.ApiKey> {
    return this.api.call<t.ApiKey>({ method: 'PATCH', path: `/v1/api-keys/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }
}

export class AuditLogResource extends Resource {
  /**
   * List the audit log
   *
   * Every administrative change, who made it and with what, and every use of `Posthouse-Account`;
   * newest first. Entries are never changed, and stay when the account is deleted.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListAuditLogData['query'], options?: RequestOptions): Pages<t.AuditEntry> {
    return this.api.pages<t.AuditEntry>({ method: 'GET', path: '/v1/audit-log', query }, options);
  }
}

export class AuthResource extends Resource {
  /**
   * Show the keys of access tokens
   *
   * A JWK Set (RFC 7517) to check access tokens with (`EdDSA`). A new key stands here for a day
   * before it signs.
   */
  showSigningKeys(options?: RequestOptions): Promise<t.JwkSet> {
    return this.api.call<t.JwkSet>({ method: 'GET', path: '/.well-known/jwks.json' }, options);
  }

  /**
   * Revoke a token
   *
   * For logging out (RFC 7009): ends the session that the token belongs to, with all its tokens,
   * within a second. The answer is the same for what is no token of a session.
   */
  revokeToken(body: t.TokenRevocation, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'POST', path: '/v1/auth/revoke', body, type: 'application/json' }, options);
  }

  /**
   * Get tokens
   *
   * With `grant_type: password` it begins a session for the account with this address: an access
   * token that holds for 15 minutes, and a refresh token. With `grant_type: refresh_token` it goes
   * on: each refresh token holds once, and each answer has the next. One that comes again ends the
   * session, as it was stolen from one of two; only within 30 seconds it may, if the answer was lost.
   * A session that is not refreshed for 30 days is over (a setting), and so are all when the password
   * changes. Failed logins count like those at every other door.
   */
  createToken(body: t.TokenRequest, options?: RequestOptions): Promise<t.Tokens> {
    return this.api.call<t.Tokens>({ method: 'POST', path: '/v1/auth/token', body, type: 'application/json' }, options);
  }
}

export class DeliveriesResource extends Resource {
  /**
   * List deliveries
   *
   * Deliveries of all messages of the account, waiting and ended, newest first, with all attempts.
   *
   * Scope: `messages:read`.
   */
  list(query?: t.ListDeliveriesData['query'], options?: RequestOptions): Pages<t.Delivery> {
    return this.api.pages<t.Delivery>({ method: 'GET', path: '/v1/deliveries', query }, options);
  }

  /**
   * Get a delivery
   *
   * One recipient of a message, with all attempts.
   *
   * Scope: `messages:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Delivery> {
    return this.api.call<t.Delivery>({ method: 'GET', path: `/v1/deliveries/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Cancel a delivery
   *
   * It ends as `canceled`, without a report to the sender and with the event `delivery.canceled`;
   * 409 if it has ended otherwise.
   * If it is being attempted, `pending_action` in the answer says so: it is done after that, unless
   * the delivery ends with the attempt.
   *
   * Scope: `messages:write`.
   */
  cancel(id: string, options?: RequestOptions): Promise<t.Delivery> {
    return this.api.call<t.Delivery>({ method: 'POST', path: `/v1/deliveries/${encodeURIComponent(id)}/cancel` }, options);
  }

  /**
   * Fail a delivery
   *
   * It ends as `failed`, as after a permanent error: with a report to the sender and the event
   * `delivery.failed`; 409 if it has ended otherwise.
   * If it is being attempted, `pending_action` in the answer says so: it is done after that, unless
   * the delivery ends with the attempt.
   *
   * Scope: `messages:write`.
   */
  fail(id: string, options?: RequestOptions): Promise<t.Delivery> {
    return this.api.call<t.Delivery>({ method: 'POST', path: `/v1/deliveries/${encodeURIComponent(id)}/fail` }, options);
  }

  /**
   * Retry a delivery
   *
   * Its next attempt is due now; 409 if it has ended or is on hold.
   *
   * Scope: `messages:write`.
   */
  retry(id: string, options?: RequestOptions): Promise<t.Delivery> {
    return this.api.call<t.Delivery>({ method: 'POST', path: `/v1/deliveries/${encodeURIComponent(id)}/retry` }, options);
  }
}

export class DomainsResource extends Resource {
  /**
   * List domains
   *
   * All domains, newest first.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListDomainsData['query'], options?: RequestOptions): Pages<t.Domain> {
    return this.api.pages<t.Domain>({ method: 'GET', path: '/v1/domains', query }, options);
  }

  /**
   * Create a domain
   *
   * Its DKIM keys are made with it; the answer lists the DNS records to publish.
   *
   * Scope: `admin:write`.
   */
  create(body: t.NewDomain, options?: CreateOptions): Promise<t.Domain> {
    return this.api.call<t.Domain>({ method: 'POST', path: '/v1/domains', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a domain
   *
   * With its keys and the DNS records to publish.
   *
   * Scope: `admin:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Domain> {
    return this.api.call<t.Domain>({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a domain
   *
   * Refused while accounts have addresses in it.
   *
   * Scope: `admin:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/domains/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a domain
   *
   * A JSON merge patch: absent fields stay as they are.
   *
   * Scope: `admin:write`.
   */
  update(id: string, body: t.DomainPatch, options?: ChangeOptions): Promise<t.Domain> {
    return this.api.call<t.Domain>({ method: 'PATCH', path: `/v1/domains/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * Get the checks of a domain
   *
   * What the last look at DNS has found; nothing is looked up now. A domain is checked each day, and
   * more often while it is new or degraded.
   *
   * Scope: `admin:read`.
   */
  getChecks(id: string, options?: RequestOptions): Promise<t.DomainChecks> {
    return this.api.call<t.DomainChecks>({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}/checks` }, options);
  }

  /**
   * Disable a domain
   *
   * It takes no mail and sends none until it is enabled: other servers and senders are told to come
   * back later, and what waits in the queue goes on waiting. People still log in with its addresses.
   *
   * Scope: `admin:write`.
   */
  disable(id: string, options?: RequestOptions): Promise<t.Domain> {
    return this.api.call<t.Domain>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/disable` }, options);
  }

  /**
   * List the DKIM keys of a domain
   *
   * Those of all states, in the order of their selectors.
   *
   * Scope: `admin:read`.
   */
  listDkimKeys(id: string, options?: RequestOptions): Pages<t.DkimKey> {
    return this.api.pages<t.DkimKey>({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys` }, options);
  }

  /**
   * Create a DKIM key
   *
   * Makes a key, or takes one that another system has signed with. It does not sign before it is
   * activated; several may sign side by side. A domain has at most 20 keys.
   *
   * Scope: `admin:write`.
   */
  createDkimKey(id: string, body: t.NewDkimKey, options?: CreateOptions): Promise<t.DkimKey> {
    return this.api.call<t.DkimKey>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Rotate the DKIM keys of a domain
   *
   * Makes a new key for each algorithm that signs. Publish the records of the answer: as soon as one
   * is seen in DNS, its key signs and the old ones of its algorithm are retired. That is looked for
   * every ten minutes, and whenever the domain is verified. Refused while a rotation is in progress.
   *
   * Scope: `admin:write`.
   */
  rotateDkimKeys(id: string, body: t.DkimRotationRequest, options?: CreateOptions): Promise<t.DkimRotation> {
    return this.api.call<t.DkimRotation>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys/rotate`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a DKIM key
   *
   * What becomes of it, and the record to publish.
   *
   * Scope: `admin:read`.
   */
  getDkimKey(id: string, selector: string, options?: RequestOptions): Promise<t.DkimKey> {
    return this.api.call<t.DkimKey>({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys/${encodeURIComponent(selector)}` }, options);
  }

  /**
   * Delete a DKIM key
   *
   * Refused for one that signs, and for one whose signatures may still be on their way.
   *
   * Scope: `admin:write`.
   */
  deleteDkimKey(id: string, selector: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys/${encodeURIComponent(selector)}` }, options);
  }

  /**
   * Activate a DKIM key
   *
   * It signs from now on, beside the others that do. Refused while its record is not in DNS, unless
   * `force` is true.
   *
   * Scope: `admin:write`.
   */
  activateDkimKey(id: string, selector: string, query?: t.ActivateDkimKeyData['query'], options?: RequestOptions): Promise<t.DkimKey> {
    return this.api.call<t.DkimKey>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys/${encodeURIComponent(selector)}/activate`, query }, options);
  }

  /**
   * Retire a DKIM key
   *
   * It signs no more; its record has to stay until `removable_at`. Refused for the last key that
   * signs, unless `force` is true: mail of the domain is not signed then.
   *
   * Scope: `admin:write`.
   */
  retireDkimKey(id: string, selector: string, query?: t.RetireDkimKeyData['query'], options?: RequestOptions): Promise<t.DkimKey> {
    return this.api.call<t.DkimKey>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/dkim-keys/${encodeURIComponent(selector)}/retire`, query }, options);
  }

  /**
   * Enable a domain
   *
   * It takes and sends mail again.
   *
   * Scope: `admin:write`.
   */
  enable(id: string, options?: RequestOptions): Promise<t.Domain> {
    return this.api.call<t.Domain>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/enable` }, options);
  }

  /**
   * List the DNS records of a domain
   *
   * What to publish and why. Records for services that this server does not have are left out, with
   * the reason.
   *
   * Scope: `admin:read`.
   */
  listRecords(id: string, options?: RequestOptions): Promise<t.DomainRecords> {
    return this.api.call<t.DomainRecords>({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}/records` }, options);
  }

  /**
   * Verify a domain
   *
   * Looks everything up now, and goes on with a rotation of keys. Takes some seconds. The domain is
   * `verified` when MX, SPF, DKIM and DMARC have no errors; when that changes, administrators get
   * `domain.verified` or `domain.degraded`.
   *
   * Scope: `admin:write`.
   */
  verify(id: string, options?: RequestOptions): Promise<t.DomainChecks> {
    return this.api.call<t.DomainChecks>({ method: 'POST', path: `/v1/domains/${encodeURIComponent(id)}/verify` }, options);
  }

  /**
   * Get the DNS records of a domain as a zone
   *
   * The same as the text of a zone file (RFC 1035), to be added to that of the domain. What belongs
   * into another zone is a comment.
   *
   * Scope: `admin:read`.
   */
  getZone(id: string, options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: `/v1/domains/${encodeURIComponent(id)}/zone` }, options);
  }
}

export class EventsResource extends Resource {
  /**
   * List events
   *
   * Events of the account, newest first.
   *
   * Scope: `events:read`.
   */
  list(query?: t.ListEventsData['query'], options?: RequestOptions): Pages<AnyEvent> {
    return this.api.pages<AnyEvent>({ method: 'GET', path: '/v1/events', query }, options);
  }

  /**
   * Stream events
   *
   * Server-Sent Events: `id` is the `seq`, `event` the type, `data` the event as JSON. After a
   * break, `Last-Event-ID` (or `after`) resumes without gaps. A comment comes every 15 seconds
   * when there is nothing to tell.
   *
   * Scope: `events:read`.
   */
  stream(query?: t.StreamEventsData['query'], options?: RequestOptions): EventStream<AnyEvent> {
    return this.api.stream<AnyEvent>({ method: 'GET', path: '/v1/events/stream', query }, options);
  }

  /**
   * Get an event
   *
   * One entry of the log, as long as the log has it.
   *
   * Scope: `events:read`.
   */
  get(id: string, options?: RequestOptions): Promise<AnyEvent> {
    return this.api.call<AnyEvent>({ method: 'GET', path: `/v1/events/${encodeURIComponent(id)}` }, options);
  }
}

export class EventTypesResource extends Resource {
  /**
   * List event types
   *
   * Every type of event with its meaning.
   */
  list(options?: RequestOptions): Pages<t.EventType> {
    return this.api.pages<t.EventType>({ method: 'GET', path: '/v1/event-types' }, options);
  }
}

export class InboundResource extends Resource {
  /**
   * Parse a message
   *
   * What `mail.received` would say of a message (RFC 5322): addresses, text, HTML as it is, header,
   * attachments with their paths. By the same code, and nothing is stored; what only a delivery knows
   * (`envelope`, `tls`, `routing`) is null. A malformed message is no fault: it has what could be
   * understood. Line ends become CR LF first.
   *
   * Scope: `mail:read`.
   */
  parseMessage(body: RawBody, options?: RequestOptions): Promise<t.MailDroppedEventData> {
    return this.api.call<t.MailDroppedEventData>({ method: 'POST', path: '/v1/inbound/parse', body, type: 'message/rfc822' }, options);
  }
}

export class InboundRoutesResource extends Resource {
  /**
   * List inbound routes
   *
   * All routes of the account, at most 100, in the order in which they are asked.
   *
   * Scope: `mail:read`.
   */
  list(options?: RequestOptions): Pages<t.InboundRoute> {
    return this.api.pages<t.InboundRoute>({ method: 'GET', path: '/v1/inbound-routes' }, options);
  }

  /**
   * Create an inbound route
   *
   * Mail that comes in for the account, from other servers or from here, is held against its routes
   * in the order of their priority. The first that matches decides what becomes of it; without any
   * it goes to the Inbox. Decided and written in the transaction that takes the mail; event
   * `mail.received`, `mail.dropped` or `message.rejected` names the routes. What cannot be done is
   * told there, and the mail is in the Inbox: nothing is lost. Mail for `postmaster`, and reports
   * about deliveries of the account, are neither refused nor dropped nor sent on. `forward` needs the
   * scope `send`, too. Changes take effect within a second.
   *
   * Scope: `mail:write`.
   */
  create(body: t.NewInboundRoute, options?: CreateOptions): Promise<t.InboundRoute> {
    return this.api.call<t.InboundRoute>({ method: 'POST', path: '/v1/inbound-routes', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Test inbound routes
   *
   * Which routes match a mail, and what would become of it. Nothing is stored, told or changed.
   *
   * Scope: `mail:read`.
   */
  test(body: t.InboundRouteTest, options?: RequestOptions): Promise<t.InboundRouteTestResult> {
    return this.api.call<t.InboundRouteTestResult>({ method: 'POST', path: '/v1/inbound-routes/test', body, type: 'application/json' }, options);
  }

  /**
   * Get an inbound route
   *
   * One route of the account.
   *
   * Scope: `mail:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.InboundRoute> {
    return this.api.call<t.InboundRoute>({ method: 'GET', path: `/v1/inbound-routes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete an inbound route
   *
   * Takes effect within a second.
   *
   * Scope: `mail:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/inbound-routes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change an inbound route
   *
   * A JSON merge patch: absent fields stay as they are; `match` and `actions` are replaced as a
   * whole. Takes effect within a second.
   *
   * Scope: `mail:write`.
   */
  update(id: string, body: t.InboundRoutePatch, options?: ChangeOptions): Promise<t.InboundRoute> {
    return this.api.call<t.InboundRoute>({ method: 'PATCH', path: `/v1/inbound-routes/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }
}

export class MailResource extends Resource {
  /**
   * List mail
   *
   * Mail of the account in all mailboxes, newest first. All given filters must fit.
   *
   * A search (`q`) has words, which may stand anywhere: in the subject, addresses, names of files or
   * the text. Case and accents do not matter; in scripts without spaces any part of a word is found.
   * `"two words"` stand together, `invoi*` is the beginning of a word, `-word` must not be there,
   * `this OR that`, `(…)`. In one field: `subject:`, `from:`, `to:`, `cc:`, `filename:`. Of a kind:
   * `has:attachment`, `has:pdf` (`image`, `archive`, `spreadsheet`, `document`, `presentation`,
   * `video`, `audio`), `is:list`, `is:automated`, `is:bounce`. Beside these, but not within `OR`:
   * `is:unread` (`read`, `starred`, `answered`, `draft`, `forwarded`, `deleted`, `junk`),
   * `in:` a mailbox or role, `keyword:`, `after:2026-01-31`, `before:`, `newer_than:7d`,
   * `older_than:` (`d`, `w`, `m`, `y`), `larger:5M`, `smaller:`. What is no operator is a word. Of a
   * mail, the first 8,000 words are looked at.
   *
   * Scope: `mail:read`.
   */
  list(query?: t.ListMailData['query'], options?: RequestOptions): Pages<t.Mail> {
    return this.api.pages<t.Mail>({ method: 'GET', path: '/v1/mail', query }, options);
  }

  /**
   * Add a mail
   *
   * Puts an RFC 5322 message into a mailbox: an import, a draft, a copy from elsewhere. Nothing is
   * sent. Line ends become CR LF, nothing else is touched. The event is `mail.created`. Over the
   * quota of the account it is refused with 507 `quota_exceeded`.
   *
   * Scope: `mail:write`.
   */
  append(body: RawBody, query: t.AppendMailData['query'], options?: CreateOptions): Promise<t.AppendedMail> {
    return this.api.call<t.AppendedMail>({ method: 'POST', path: '/v1/mail', body, type: 'message/rfc822', query, keyed: true }, options);
  }

  /**
   * Change many mails
   *
   * Sets flags and keywords, moves, copies or deletes mails that are named by their ids, or all that
   * fit a filter. By ids it is one transaction: all or nothing. By a filter it goes in steps of one
   * short transaction each, from the newest to the oldest; what comes meanwhile is left alone, and
   * what fails leaves the steps before it done. After 20 seconds it stops and says where to go on.
   * There is one event for each mail. An `Idempotency-Key` makes it safe to repeat once it was
   * answered; a copy by filter that was broken off before that begins anew.
   *
   * Scope: `mail:write`.
   */
  changeMany(body: t.MailBulk, options?: CreateOptions): Promise<t.MailBulkResult> {
    return this.api.call<t.MailBulkResult>({ method: 'POST', path: '/v1/mail/bulk', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * List changes of mail
   *
   * Ids of mails and mailboxes that were created, changed or deleted since a modseq, for clients
   * that keep a copy. Go on with `cursor` and the same `since` while `has_more` is true; then the
   * `modseq` of the last page is the next `since`. Nothing is ever missed, whatever happens
   * meanwhile. Deletions are known for a year: for an older `since`, or one of the future, the
   * answer is 410 `since_too_old`; forget everything then and begin with 0.
   *
   * Scope: `mail:read`.
   */
  listChanges(query: t.ListMailChangesData['query'], options?: RequestOptions): Promise<t.MailChanges> {
    return this.api.call<t.MailChanges>({ method: 'GET', path: '/v1/mail/changes', query }, options);
  }

  /**
   * Stream changes of mail
   *
   * Server-Sent Events of the type `changes`, each with the `data` of an answer of
   * `GET /v1/mail/changes`. The `id` is the modseq: after a break, `Last-Event-ID` (or `since`)
   * resumes without gaps. A comment comes every 15 seconds when there is nothing to tell.
   *
   * Scope: `mail:read`.
   */
  streamChanges(query?: t.StreamMailChangesData['query'], options?: RequestOptions): EventStream<t.MailChanges> {
    return this.api.stream<t.MailChanges>({ method: 'GET', path: '/v1/mail/stream', query }, options);
  }

  /**
   * Wait for mail
   *
   * The newest mail that fits, at once if there is one, else as soon as it comes: for tests of
   * applications that send mail. When the time is over without one, the answer is 404 with the code
   * `not_found`.
   *
   * Scope: `mail:read`.
   */
  wait(query?: t.WaitForMailData['query'], options?: RequestOptions): Promise<t.Mail> {
    return this.api.call<t.Mail>({ method: 'GET', path: '/v1/mail/wait', query }, options);
  }

  /**
   * Get a mail
   *
   * With its text. The HTML is as it came, not sanitised: do not show it as it is.
   *
   * Scope: `mail:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.MailDetail> {
    return this.api.call<t.MailDetail>({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a mail
   *
   * Moves it to the mailbox with the role `trash`; what is there already, or with `permanent=true`,
   * is deleted for good. With `If-Match`, only while it still is in the state of that `ETag`.
   *
   * Scope: `mail:write`.
   */
  delete(id: string, query?: t.DeleteMailData['query'], options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/mail/${encodeURIComponent(id)}`, query }, options);
  }

  /**
   * Change a mail
   *
   * Sets flags and keywords as a whole, or adds and removes single ones, and moves it to another
   * mailbox: all at once. With `If-Match`, only while it still is in the state of that `ETag`, else
   * 412 `precondition_failed`. The event is `mail.updated`; when all is as wanted already, nothing
   * changes and there is none.
   *
   * Scope: `mail:write`.
   */
  update(id: string, body: t.MailPatch, options?: ChangeOptions): Promise<t.MailState> {
    return this.api.call<t.MailState>({ method: 'PATCH', path: `/v1/mail/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * Forward a mail
   *
   * Makes a message as a mail program does and sends it: with `Fwd:` before the subject, the text of
   * the mail below and its files attached, or the whole mail as a file. The mail gets the flag
   * `$Forwarded` when the message is taken, in the same transaction.
   *
   * Scope: `send` or `mail:read`.
   */
  forward(id: string, body: t.NewForward, options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: `/v1/mail/${encodeURIComponent(id)}/forward`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get the header of a mail
   *
   * All header fields, also those that were added when it came in.
   *
   * Scope: `mail:read`.
   */
  getHeaders(id: string, options?: RequestOptions): Promise<t.MailHeaders> {
    return this.api.call<t.MailHeaders>({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}/headers` }, options);
  }

  /**
   * Get the HTML of a mail
   *
   * A whole page that a browser can show, best in an `iframe`: without scripts, style sheets, forms
   * and frames; links open in a new window and tell nothing of this one. Images that came with the
   * mail (`cid:`) are at `parts/{path}` beside this page; images from elsewhere are left out unless
   * asked for. At most 1 MiB, and less if it nests too deeply. A mail without HTML is shown as text.
   * The answer comes with a Content-Security-Policy that forbids all this once more: keep it when
   * passing the page on.
   *
   * Scope: `mail:read`.
   */
  getHtml(id: string, query?: t.GetMailHtmlData['query'], options?: RequestOptions): Promise<string> {
    return this.api.text({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}/html`, query }, options);
  }

  /**
   * Download a part of a mail
   *
   * An attachment or another MIME part, decoded. Always as a download, never to be shown by a
   * browser.
   *
   * Scope: `mail:read`.
   */
  downloadPart(id: string, path: string, options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}/parts/${encodeURIComponent(path)}` }, options);
  }

  /**
   * Download a mail
   *
   * The octets as they came, as RFC 5322 message.
   *
   * Scope: `mail:read`.
   */
  download(id: string, options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}/raw` }, options);
  }

  /**
   * Deliver a mail again
   *
   * Tells of a mail that came in with another event `mail.received`, which has `redelivered: true`:
   * for a receiver that has lost it, or for routes that have changed. With `routes`, the routes of now
   * are asked; what they would refuse or drop stays.
   *
   * Scope: `mail:write`.
   */
  redeliver(id: string, body: t.MailRedelivery, options?: CreateOptions): Promise<t.RedeliveredMail> {
    return this.api.call<t.RedeliveredMail>({ method: 'POST', path: `/v1/mail/${encodeURIComponent(id)}/redeliver`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Answer a mail
   *
   * Makes a message as a mail program does and sends it: to Reply-To or From of the mail (of a mail
   * of one's own: to its recipients), with `Re:` before the subject, In-Reply-To and References, and
   * the mail quoted below. The mail gets the flag `\Answered` when the message is taken, in the same
   * transaction. The mail itself and what else is wrong with the request can be named only one after
   * the other.
   *
   * Scope: `send` or `mail:read`.
   */
  reply(id: string, body: t.NewReply, options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: `/v1/mail/${encodeURIComponent(id)}/reply`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get the text of a mail
   *
   * The plain text, at most 1 MiB; of a mail without one, what its HTML says.
   *
   * Scope: `mail:read`.
   */
  getText(id: string, options?: RequestOptions): Promise<string> {
    return this.api.text({ method: 'GET', path: `/v1/mail/${encodeURIComponent(id)}/text` }, options);
  }
}

export class MailboxesResource extends Resource {
  /**
   * List mailboxes
   *
   * All mailboxes of the account with their counts, by name.
   *
   * Scope: `mail:read`.
   */
  list(options?: RequestOptions): Pages<t.Mailbox> {
    return this.api.pages<t.Mailbox>({ method: 'GET', path: '/v1/mailboxes' }, options);
  }

  /**
   * Create a mailbox
   *
   * Mailboxes above it are made where they lack. An account has at most 2000.
   *
   * Scope: `mail:write`.
   */
  create(body: t.NewMailbox, options?: CreateOptions): Promise<t.Mailbox> {
    return this.api.call<t.Mailbox>({ method: 'POST', path: '/v1/mailboxes', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a mailbox
   *
   * With its counts.
   *
   * Scope: `mail:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Mailbox> {
    return this.api.call<t.Mailbox>({ method: 'GET', path: `/v1/mailboxes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a mailbox
   *
   * With all its mail, for good. Refused for the Inbox, and with `in_use` while there are mailboxes
   * below. Much mail is deleted in steps: when that is broken off, the mailbox is still there with
   * what is left, and the request can be repeated.
   *
   * Scope: `mail:write`.
   */
  delete(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/mailboxes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a mailbox
   *
   * A JSON merge patch: absent fields stay as they are. The Inbox keeps its name: when it is
   * renamed, a mailbox of the new name is made, gets all its mail, and is the answer.
   *
   * Scope: `mail:write`.
   */
  update(id: string, body: t.MailboxPatch, options?: RequestOptions): Promise<t.Mailbox> {
    return this.api.call<t.Mailbox>({ method: 'PATCH', path: `/v1/mailboxes/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }
}

export class MessagesResource extends Resource {
  /**
   * List messages
   *
   * Messages of the account, newest first. What is looked up in an index, however many messages there
   * are: `message_id`, `to`, `domain`, `tag`, `metadata`, `stream`, `status`, `since` and `until`. For
   * `from` and `subject` the server goes through the messages: give it a time, too.
   *
   * Scope: `messages:read`.
   */
  list(query?: t.ListMessagesData['query'], options?: RequestOptions): Pages<t.Message> {
    return this.api.pages<t.Message>({ method: 'GET', path: '/v1/messages', query }, options);
  }

  /**
   * Send a message
   *
   * Composes a message from its parts, signs it and queues one delivery for each recipient. When
   * the answer comes, the message is stored safely. With `dry_run` it is checked only.
   *
   * Scope: `send`.
   */
  send(body: t.NewMessage, options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: '/v1/messages', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Send many messages
   *
   * Up to 500 messages, each with recipients and content of its own. Each is taken or refused for
   * itself: see the `status` of its result. Those that are taken are stored in one transaction: a
   * request that fails as a whole has sent nothing, and with an `Idempotency-Key` it can be repeated
   * without sending anything twice; then also the refusals are the same.
   *
   * Scope: `send`.
   */
  sendBatch(body: t.MessageBatch, options?: RequestOptions): Promise<t.BatchResults> {
    return this.api.call<t.BatchResults>({ method: 'POST', path: '/v1/messages/batch', body, type: 'application/json' }, options);
  }

  /**
   * Send a message with files
   *
   * Like `POST /v1/messages`, with the files as parts of the form instead of base64: every part
   * with a file name is attached.
   *
   * Scope: `send`.
   */
  sendMultipart(body: t.MultipartMessage, options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: '/v1/messages/multipart', body, type: 'multipart/form-data', keyed: true }, options);
  }

  /**
   * Send a raw message
   *
   * Sends a complete RFC 5322 message. Line ends become CR LF, Bcc is removed, Date and Message-ID
   * are added where they lack, and it is signed; nothing else is touched.
   *
   * Scope: `send`.
   */
  sendRaw(body: RawBody, query?: t.SendRawMessageData['query'], options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: '/v1/messages/raw', body, type: 'message/rfc822', query, keyed: true }, options);
  }

  /**
   * Check a message
   *
   * Does all that sending does: every check, whether the caller may send as the author, rendering of
   * a template, composing and signing. Shows the message that would go out. Nothing is stored,
   * nothing is sent, and there is no event; `Idempotency-Key` has no effect.
   *
   * Scope: `send`.
   */
  validate(body: t.NewMessage, options?: RequestOptions): Promise<t.Validation> {
    return this.api.call<t.Validation>({ method: 'POST', path: '/v1/messages/validate', body, type: 'application/json' }, options);
  }

  /**
   * Get a message
   *
   * What was sent; the recipients are in `/deliveries`.
   *
   * Scope: `messages:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Message> {
    return this.api.call<t.Message>({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a message
   *
   * Sets another time for deliveries that were not attempted yet, as `next_attempt_at` of the
   * deliveries tells; 409 if there are none.
   *
   * Scope: `messages:write`.
   */
  update(id: string, body: t.MessagePatch, options?: RequestOptions): Promise<t.Message> {
    return this.api.call<t.Message>({ method: 'PATCH', path: `/v1/messages/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * List attachments of a message
   *
   * Its files, in their order; always the whole list.
   *
   * Scope: `messages:read`.
   */
  listAttachments(id: string, options?: RequestOptions): Pages<t.MailAttachment> {
    return this.api.pages<t.MailAttachment>({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/attachments` }, options);
  }

  /**
   * Download an attachment of a message
   *
   * Decoded. Always as a download, never to be shown by a browser.
   *
   * Scope: `messages:read`.
   */
  downloadAttachment(id: string, path: string, options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/attachments/${encodeURIComponent(path)}` }, options);
  }

  /**
   * Cancel a message
   *
   * Deliveries that wait end as `canceled`, without a report to the sender and with the event
   * `delivery.canceled`. Those that have ended stay as they are; 409 if all of them have.
   * A delivery that is being attempted has `pending_action` in the answer: it is done after that,
   * unless the delivery ends with the attempt.
   *
   * Scope: `messages:write`.
   */
  cancel(id: string, options?: RequestOptions): Promise<t.ListDelivery> {
    return this.api.call<t.ListDelivery>({ method: 'POST', path: `/v1/messages/${encodeURIComponent(id)}/cancel` }, options);
  }

  /**
   * Get the content of a message
   *
   * Its fields, text and files, as its recipients get them; 404 once it was erased.
   *
   * Scope: `messages:read`.
   */
  getContent(id: string, options?: RequestOptions): Promise<t.MessageContent> {
    return this.api.call<t.MessageContent>({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/content` }, options);
  }

  /**
   * Erase the content of a message
   *
   * What the message says is gone for good: `/raw` is 404 from then on. Deliveries, events and
   * subject stay known, and copies in mailboxes stay; 409 while deliveries wait.
   *
   * Scope: `messages:write`.
   */
  redact(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/messages/${encodeURIComponent(id)}/content` }, options);
  }

  /**
   * List deliveries of a message
   *
   * One for each recipient, in order, with all attempts; always the whole list.
   *
   * Scope: `messages:read`.
   */
  listDeliveries(id: string, options?: RequestOptions): Pages<t.Delivery> {
    return this.api.pages<t.Delivery>({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/deliveries` }, options);
  }

  /**
   * List events of a message
   *
   * Everything that happened to the message, newest first.
   *
   * Scope: `messages:read`.
   */
  listEvents(id: string, query?: t.ListMessageEventsData['query'], options?: RequestOptions): Pages<AnyEvent> {
    return this.api.pages<AnyEvent>({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/events`, query }, options);
  }

  /**
   * Hold a message
   *
   * Deliveries that wait are not attempted until somebody releases them; event `delivery.held`.
   * A delivery that is being attempted has `pending_action` in the answer: it is done after that,
   * unless the delivery ends with the attempt.
   *
   * Scope: `messages:write`.
   */
  hold(id: string, options?: RequestOptions): Promise<t.ListDelivery> {
    return this.api.call<t.ListDelivery>({ method: 'POST', path: `/v1/messages/${encodeURIComponent(id)}/hold` }, options);
  }

  /**
   * Download a message
   *
   * The octets as they go out, as RFC 5322 message.
   *
   * Scope: `messages:read`.
   */
  download(id: string, options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: `/v1/messages/${encodeURIComponent(id)}/raw` }, options);
  }

  /**
   * Release a message
   *
   * Deliveries on hold go on when their time has come; event `delivery.released`.
   *
   * Scope: `messages:write`.
   */
  release(id: string, options?: RequestOptions): Promise<t.ListDelivery> {
    return this.api.call<t.ListDelivery>({ method: 'POST', path: `/v1/messages/${encodeURIComponent(id)}/release` }, options);
  }

  /**
   * Send a message again
   *
   * Sends the same content, signed anew, as a message of its own with deliveries of its own: to the
   * recipients of the message, or to others. 404 if the content was erased.
   *
   * Scope: `send` or `messages:read`.
   */
  resend(id: string, body: t.Resend, options?: CreateOptions): Promise<t.Submission> {
    return this.api.call<t.Submission>({ method: 'POST', path: `/v1/messages/${encodeURIComponent(id)}/resend`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Retry a message
   *
   * The next attempt of deliveries that wait is due now, also the first of scheduled ones. Those on
   * hold stay so. It does not count as an attempt more than would have been made.
   *
   * Scope: `messages:write`.
   */
  retry(id: string, options?: RequestOptions): Promise<t.ListDelivery> {
    return this.api.call<t.ListDelivery>({ method: 'POST', path: `/v1/messages/${encodeURIComponent(id)}/retry` }, options);
  }
}

export class MetaResource extends Resource {
  /**
   * Check that the server runs
   *
   * For liveness probes: says nothing about the database.
   */
  checkHealth(options?: RequestOptions): Promise<t.Health> {
    return this.api.call<t.Health>({ method: 'GET', path: '/healthz' }, options);
  }

  /**
   * Show metrics
   *
   * In the Prometheus text format. Open to programs on the same machine that are not proxies;
   * others need the scope.
   *
   * Scope: `admin:read`.
   */
  showMetrics(options?: RequestOptions): Promise<string> {
    return this.api.text({ method: 'GET', path: '/metrics' }, options);
  }

  /**
   * Show this document
   *
   * The OpenAPI 3.1 description of the API.
   */
  showOpenapi(options?: RequestOptions): Promise<unknown> {
    return this.api.call<unknown>({ method: 'GET', path: '/openapi.json' }, options);
  }

  /**
   * Describe a problem
   *
   * What the `type` of a problem leads to: a page for people, or JSON when that is asked for.
   */
  describeProblem(code: string, options?: RequestOptions): Promise<t.ProblemKind> {
    return this.api.call<t.ProblemKind>({ method: 'GET', path: `/problems/${encodeURIComponent(code)}` }, options);
  }

  /**
   * Check that the server can work
   *
   * For readiness probes: 503 while the database is away or this node owns no part of the queue.
   */
  checkReady(options?: RequestOptions): Promise<t.Health> {
    return this.api.call<t.Health>({ method: 'GET', path: '/readyz' }, options);
  }

  /**
   * Show the version
   *
   * Name and version of the server, and the version of this API.
   */
  showVersion(options?: RequestOptions): Promise<t.Version> {
    return this.api.call<t.Version>({ method: 'GET', path: '/version' }, options);
  }
}

export class MtaStsPoliciesResource extends Resource {
  /**
   * List MTA-STS policies
   *
   * What is known of the policies of domains that mail was sent to, the one that was met last first.
   * Policies come by themselves with deliveries, are fetched again each day, hold until `expires_at`
   * whatever becomes of DNS and web server, and go when no mail has used them for 180 days.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListMtaStsPoliciesData['query'], options?: RequestOptions): Pages<t.MtaStsPolicy> {
    return this.api.pages<t.MtaStsPolicy>({ method: 'GET', path: '/v1/mta-sts-policies', query }, options);
  }
}

export class QueueResource extends Resource {
  /**
   * Get the queue
   *
   * How many deliveries wait, by state, and since when; counted two seconds ago at most.
   *
   * Scope: `queue:read`.
   */
  get(query?: t.GetQueueData['query'], options?: RequestOptions): Promise<t.Queue> {
    return this.api.call<t.Queue>({ method: 'GET', path: '/v1/queue', query }, options);
  }

  /**
   * Change many deliveries
   *
   * Cancels, fails, holds, releases or retries all deliveries that wait and match the filter, however
   * many; each as if it had been asked for alone, with its event. `schedule` sets the time of the next
   * attempt, also of those that were attempted. Deliveries that the action makes no sense for, or that
   * would have expired by then, are not counted.
   *
   * Scope: `queue:write`.
   */
  change(body: t.QueueBulk, options?: CreateOptions): Promise<t.QueueBulkResult> {
    return this.api.call<t.QueueBulkResult>({ method: 'POST', path: '/v1/queue/bulk', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * List destinations
   *
   * The domains that most deliveries wait for, the most first; at most 200.
   *
   * Scope: `queue:read`.
   */
  listDestinations(query?: t.ListDestinationsData['query'], options?: RequestOptions): Pages<t.Destination> {
    return this.api.pages<t.Destination>({ method: 'GET', path: '/v1/queue/destinations', query }, options);
  }

  /**
   * List hold rules
   *
   * Rules of the account, newest first, also those that have expired.
   *
   * Scope: `queue:read`.
   */
  listHolds(query?: t.ListHoldsData['query'], options?: RequestOptions): Pages<t.Hold> {
    return this.api.pages<t.Hold>({ method: 'GET', path: '/v1/queue/holds', query }, options);
  }

  /**
   * Create a hold rule
   *
   * Deliveries that match everything that is given are on hold until somebody releases them: every
   * new one from now on, and soon also those that wait. Event `delivery.held` for each. Deleting the
   * rule, or its end, releases nothing.
   *
   * Scope: `queue:write`.
   */
  createHold(body: t.NewHold, options?: CreateOptions): Promise<t.Hold> {
    return this.api.call<t.Hold>({ method: 'POST', path: '/v1/queue/holds', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a hold rule
   *
   * One rule of the account; administrators see all.
   *
   * Scope: `queue:read`.
   */
  getHold(id: string, options?: RequestOptions): Promise<t.Hold> {
    return this.api.call<t.Hold>({ method: 'GET', path: `/v1/queue/holds/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a hold rule
   *
   * It holds nothing new. What it holds stays on hold until it is released.
   *
   * Scope: `queue:write`.
   */
  deleteHold(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/queue/holds/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a hold rule
   *
   * A JSON merge patch: absent fields stay as they are. A rule that had expired and gets a later end
   * holds also what waits now, as a new one does.
   *
   * Scope: `queue:write`.
   */
  changeHold(id: string, body: t.HoldPatch, options?: ChangeOptions): Promise<t.Hold> {
    return this.api.call<t.Hold>({ method: 'PATCH', path: `/v1/queue/holds/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * Get the lane rules
   *
   * How fast the mail exchangers of some providers are used. What no rule covers has the limit of the
   * configuration, by the set of its exchangers.
   *
   * Scope: `admin:read`.
   */
  getLaneRules(options?: RequestOptions): Promise<t.LaneRules> {
    return this.api.call<t.LaneRules>({ method: 'GET', path: '/v1/queue/lane-rules' }, options);
  }

  /**
   * Set the lane rules
   *
   * Puts them in the place of all, those that came with the server included; an empty list leaves
   * none. All nodes follow within a second, also for what waits.
   *
   * Scope: `admin:write`.
   */
  setLaneRules(body: t.NewLaneRules, options?: RequestOptions): Promise<t.LaneRules> {
    return this.api.call<t.LaneRules>({ method: 'PUT', path: '/v1/queue/lane-rules', body, type: 'application/json' }, options);
  }

  /**
   * Reset the lane rules
   *
   * The rules that came with the server hold again.
   *
   * Scope: `admin:write`.
   */
  resetLaneRules(options?: RequestOptions): Promise<t.LaneRules> {
    return this.api.call<t.LaneRules>({ method: 'DELETE', path: '/v1/queue/lane-rules' }, options);
  }

  /**
   * Pause deliveries
   *
   * Nothing of the account is attempted until somebody resumes; what is being attempted goes on to
   * its end. Messages are taken, and wait. With `scope=all` for all accounts, which needs
   * `admin:write`.
   *
   * Scope: `queue:write`.
   */
  pause(query?: t.PauseQueueData['query'], options?: RequestOptions): Promise<t.Pause> {
    return this.api.call<t.Pause>({ method: 'POST', path: '/v1/queue/pause', query }, options);
  }

  /**
   * Preview a delivery
   *
   * Where a message of the account would go if it were attempted now, and what stands in its way:
   * exchangers and addresses as the attempt would look them up, route and transport, TLS and MTA-STS,
   * suppressions, hold rules, pauses and limits. Nothing is sent; only DNS, and the web server of an
   * MTA-STS policy that is not known yet, are asked.
   *
   * Scope: `queue:read`.
   */
  previewDelivery(query: t.PreviewDeliveryData['query'], options?: RequestOptions): Promise<t.DeliveryPreview> {
    return this.api.call<t.DeliveryPreview>({ method: 'GET', path: '/v1/queue/preview', query }, options);
  }

  /**
   * Resume deliveries
   *
   * What is due is attempted again. With `scope=all` an end to the pause of all accounts, which needs
   * `admin:write`; pauses of single accounts stay.
   *
   * Scope: `queue:write`.
   */
  resume(query?: t.ResumeQueueData['query'], options?: RequestOptions): Promise<t.Pause> {
    return this.api.call<t.Pause>({ method: 'POST', path: '/v1/queue/resume', query }, options);
  }
}

export class ReportsResource extends Resource {
  /**
   * List TLS reports that go out
   *
   * One for each day and domain that mail was sent to, or mail exchanger with TLSA records, newest
   * first. They are kept for 90 days, those that were skipped for a week.
   *
   * Scope: `admin:read`.
   */
  listOutgoingTls(query?: t.ListOutgoingTlsReportsData['query'], options?: RequestOptions): Pages<t.OutgoingTlsReport> {
    return this.api.pages<t.OutgoingTlsReport>({ method: 'GET', path: '/v1/reports/tls/outgoing', query }, options);
  }

  /**
   * Get a TLS report that goes out
   *
   * With the report itself.
   *
   * Scope: `admin:read`.
   */
  getOutgoingTls(id: string, options?: RequestOptions): Promise<t.OutgoingTlsReport> {
    return this.api.call<t.OutgoingTlsReport>({ method: 'GET', path: `/v1/reports/tls/outgoing/${encodeURIComponent(id)}` }, options);
  }

  /**
   * List addresses that get no TLS reports
   *
   * Newest first; those whose time is over go by and by.
   *
   * Scope: `admin:read`.
   */
  listTlsSuppressions(query?: t.ListTlsReportSuppressionsData['query'], options?: RequestOptions): Pages<t.TlsReportSuppression> {
    return this.api.pages<t.TlsReportSuppression>({ method: 'GET', path: '/v1/reports/tls/suppressions', query }, options);
  }

  /**
   * Send no more TLS reports to an address
   *
   * Whatever domain asks for it. Reports that are on their way get there.
   *
   * Scope: `admin:write`.
   */
  createTlsSuppression(body: t.NewTlsReportSuppression, options?: CreateOptions): Promise<t.TlsReportSuppression> {
    return this.api.call<t.TlsReportSuppression>({ method: 'POST', path: '/v1/reports/tls/suppressions', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Send TLS reports to an address again
   *
   * From the next report on.
   *
   * Scope: `admin:write`.
   */
  deleteTlsSuppression(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/reports/tls/suppressions/${encodeURIComponent(id)}` }, options);
  }
}

export class RoutesResource extends Resource {
  /**
   * List routes
   *
   * All routes, newest first; `position` says in which order those of a list are asked.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListRoutesData['query'], options?: RequestOptions): Pages<t.Route> {
    return this.api.pages<t.Route>({ method: 'GET', path: '/v1/routes', query }, options);
  }

  /**
   * Create a route
   *
   * Routes are asked at each attempt: those of the account, then those of the sender's domain, then
   * those of all; the first that matches counts. What no route matches goes through the smart host of
   * the configuration, if there is one, else to the exchangers of the recipient. Recipients who are
   * at home here need no route. A list has at most 200.
   *
   * Scope: `admin:write`.
   */
  create(body: t.NewRoute, options?: CreateOptions): Promise<t.Route> {
    return this.api.call<t.Route>({ method: 'POST', path: '/v1/routes', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a route
   *
   * One route, whatever list it is in.
   *
   * Scope: `admin:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Route> {
    return this.api.call<t.Route>({ method: 'GET', path: `/v1/routes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a route
   *
   * Attempts that begin a moment later ask the next ones.
   *
   * Scope: `admin:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/routes/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a route
   *
   * A JSON merge patch: absent fields stay as they are. For attempts that begin a moment later, on
   * all nodes.
   *
   * Scope: `admin:write`.
   */
  update(id: string, body: t.RoutePatch, options?: ChangeOptions): Promise<t.Route> {
    return this.api.call<t.Route>({ method: 'PATCH', path: `/v1/routes/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }
}

export class SandboxResource extends Resource {
  /**
   * Get the faults of the sandbox
   *
   * What goes wrong there, beside what the names of recipients ask for.
   *
   * Scope: `messages:read`.
   */
  getFaults(options?: RequestOptions): Promise<t.SandboxFaults> {
    return this.api.call<t.SandboxFaults>({ method: 'GET', path: '/v1/sandbox/faults' }, options);
  }

  /**
   * Set the faults of the sandbox
   *
   * Replaces them all; an empty list ends them. They hold for each attempt that begins after the
   * answer, in the sandbox of this account only, and come before what a recipient's name asks for.
   *
   * Scope: `messages:write`.
   */
  setFaults(body: t.SandboxFaults, options?: RequestOptions): Promise<t.SandboxFaults> {
    return this.api.call<t.SandboxFaults>({ method: 'PUT', path: '/v1/sandbox/faults', body, type: 'application/json' }, options);
  }

  /**
   * List sandbox messages
   *
   * What the sandbox did with outgoing mail of the account, newest first.
   *
   * Scope: `messages:read`.
   */
  listMessages(query?: t.ListSandboxMessagesData['query'], options?: RequestOptions): Pages<t.SandboxMessage> {
    return this.api.pages<t.SandboxMessage>({ method: 'GET', path: '/v1/sandbox/messages', query }, options);
  }

  /**
   * Clear the sandbox
   *
   * Forgets what the sandbox did for this account. Stored mail stays.
   *
   * Scope: `messages:write`.
   */
  clear(options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: '/v1/sandbox/messages' }, options);
  }

  /**
   * Wait for a sandbox message
   *
   * The newest one that fits, at once if there is one, else as soon as it comes. When the time is
   * over without one, the answer is 404 with the code `not_found`.
   *
   * Scope: `messages:read`.
   */
  waitForMessage(query?: t.WaitForSandboxMessageData['query'], options?: RequestOptions): Promise<t.SandboxMessage> {
    return this.api.call<t.SandboxMessage>({ method: 'GET', path: '/v1/sandbox/messages/wait', query }, options);
  }
}

export class SuppressionsResource extends Resource {
  /**
   * Show an unsubscribe page
   *
   * The page that a link in mail leads to: it has a button. Looking at it changes nothing, as mail
   * programs and virus scanners follow links.
   */
  showUnsubscribe(token: string, options?: RequestOptions): Promise<string> {
    return this.api.text({ method: 'GET', path: `/u/${encodeURIComponent(token)}` }, options);
  }

  /**
   * Unsubscribe
   *
   * What the button of the page and the one-click unsubscription of mail programs (RFC 8058) do: the
   * recipient of the message gets an entry in the suppression list, with the topic of the message if
   * it has one. The body is not looked at. A second time changes nothing.
   */
  confirmUnsubscribe(token: string, options?: RequestOptions): Promise<string> {
    return this.api.text({ method: 'POST', path: `/u/${encodeURIComponent(token)}` }, options);
  }

  /**
   * List suppressions
   *
   * Entries of the account's list, newest first, also those that have expired.
   *
   * Scope: `suppressions:read`.
   */
  list(query?: t.ListSuppressionsData['query'], options?: RequestOptions): Pages<t.Suppression> {
    return this.api.pages<t.Suppression>({ method: 'GET', path: '/v1/suppressions', query }, options);
  }

  /**
   * Create a suppression
   *
   * Messages to this recipient are not sent any more, from now on and also those that wait; their
   * delivery ends as `suppressed`. Spellings that the recipient's domain is known to treat alike
   * are one recipient. 409 if there is such an entry already.
   *
   * Scope: `suppressions:write`.
   */
  create(body: t.NewSuppression, options?: CreateOptions): Promise<t.Suppression> {
    return this.api.call<t.Suppression>({ method: 'POST', path: '/v1/suppressions', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Change many suppressions
   *
   * Deletes and creates up to 1,000 entries, all or none: first everything that is to be deleted.
   * What is there already stays as it is, and what is not there cannot be deleted; both are told.
   * The answer has the items of `create` and then those of `delete`, in their order.
   *
   * Scope: `suppressions:write`.
   */
  change(body: t.SuppressionChanges, options?: CreateOptions): Promise<t.ListSuppressionChange> {
    return this.api.call<t.ListSuppressionChange>({ method: 'POST', path: '/v1/suppressions/bulk', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Check recipients
   *
   * Tells for each address whether messages to it are suppressed at the moment, and by which
   * entries; in the order of the request.
   *
   * Scope: `suppressions:read`.
   */
  check(body: t.SuppressionCheck, options?: RequestOptions): Promise<t.ListCheckedAddress> {
    return this.api.call<t.ListCheckedAddress>({ method: 'POST', path: '/v1/suppressions/check', body, type: 'application/json' }, options);
  }

  /**
   * Export suppressions
   *
   * The list, newest first, as comma-separated values (RFC 4180, UTF-8) with a first row of column
   * names. A text that a spreadsheet would take for a formula has an apostrophe before it, which an
   * import takes away again.
   *
   * Scope: `suppressions:read`.
   */
  export(query?: t.ExportSuppressionsData['query'], options?: RequestOptions): Promise<Response> {
    return this.api.download({ method: 'GET', path: '/v1/suppressions/export', query }, options);
  }

  /**
   * Import suppressions
   *
   * Comma-separated values (RFC 4180, UTF-8) with a first row of column names: `address`, and if you
   * like `topic`, `reason` (`manual` by default), `detail` and `expires_at`; the other columns of an
   * export are ignored. Entries that are there get reason, detail and end of their row: the same
   * import a second time changes nothing, so it needs no idempotency key. Rows with faults are left
   * out and told with their line. Rows are written as they come: if the request breaks off, send it
   * again.
   *
   * Scope: `suppressions:write`.
   */
  import(body: RawBody, options?: RequestOptions): Promise<t.ImportResult> {
    return this.api.call<t.ImportResult>({ method: 'POST', path: '/v1/suppressions/import', body, type: 'text/csv' }, options);
  }

  /**
   * Get a suppression
   *
   * One entry, also if it has expired.
   *
   * Scope: `suppressions:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Suppression> {
    return this.api.call<t.Suppression>({ method: 'GET', path: `/v1/suppressions/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a suppression
   *
   * Messages to this recipient are sent again, unless another entry suppresses it. Deliveries that
   * have ended as `suppressed` stay ended.
   *
   * Scope: `suppressions:write`.
   */
  delete(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/suppressions/${encodeURIComponent(id)}` }, options);
  }
}

export class TemplatesResource extends Resource {
  /**
   * List templates
   *
   * Those of the account, newest first, without what they say.
   *
   * Scope: `account:read`.
   */
  list(query?: t.ListTemplatesData['query'], options?: RequestOptions): Pages<t.Template> {
    return this.api.pages<t.Template>({ method: 'GET', path: '/v1/templates', query }, options);
  }

  /**
   * Create a template
   *
   * Subject, text and HTML are templates in a part of the language of Jinja: `{{ user.name }}`,
   * `{{ note|default("none") }}`, `{% if … %}`, `{% for item in items %}`. Filters: `capitalize`,
   * `default`, `escape`, `first`, `last`, `length`, `lower`, `round`, `safe`, `title`, `trim`,
   * `upper`, `urlencode`. An account has at most 1,000 templates.
   *
   * Scope: `account:write`.
   */
  create(body: t.NewTemplate, options?: CreateOptions): Promise<t.ShownTemplate> {
    return this.api.call<t.ShownTemplate>({ method: 'POST', path: '/v1/templates', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a template
   *
   * With what one of its versions says.
   *
   * Scope: `account:read`.
   */
  get(id: string, query?: t.GetTemplateData['query'], options?: RequestOptions): Promise<t.ShownTemplate> {
    return this.api.call<t.ShownTemplate>({ method: 'GET', path: `/v1/templates/${encodeURIComponent(id)}`, query }, options);
  }

  /**
   * Delete a template
   *
   * With all versions. Messages that were made from it stay what they are, also those that wait.
   *
   * Scope: `account:write`.
   */
  delete(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/templates/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a template
   *
   * A JSON merge patch of name and description. What a template says is changed by a new version.
   *
   * Scope: `account:write`.
   */
  update(id: string, body: t.TemplatePatch, options?: RequestOptions): Promise<t.Template> {
    return this.api.call<t.Template>({ method: 'PATCH', path: `/v1/templates/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * Publish a version of a template
   *
   * Messages that name no version use this one from now on; it can be an older one.
   *
   * Scope: `account:write`.
   */
  publish(id: string, body: t.PublishTemplate, options?: RequestOptions): Promise<t.Template> {
    return this.api.call<t.Template>({ method: 'POST', path: `/v1/templates/${encodeURIComponent(id)}/publish`, body, type: 'application/json' }, options);
  }

  /**
   * Render a template
   *
   * A preview: what a message with these variables would say. Every variable that lacks is a fault
   * with a pointer to where it should stand.
   *
   * Scope: `account:read`.
   */
  render(id: string, body: t.RenderTemplate, options?: RequestOptions): Promise<t.RenderedTemplate> {
    return this.api.call<t.RenderedTemplate>({ method: 'POST', path: `/v1/templates/${encodeURIComponent(id)}/render`, body, type: 'application/json' }, options);
  }

  /**
   * List versions of a template
   *
   * All of them, newest first, without what they say: see `GET /v1/templates/{id}?version=`.
   *
   * Scope: `account:read`.
   */
  listVersions(id: string, options?: RequestOptions): Pages<t.TemplateVersion> {
    return this.api.pages<t.TemplateVersion>({ method: 'GET', path: `/v1/templates/${encodeURIComponent(id)}/versions` }, options);
  }

  /**
   * Create a version of a template
   *
   * Versions never change: a template is changed by a new one, which messages use once it is
   * published. A template has at most 1,000 versions.
   *
   * Scope: `account:write`.
   */
  createVersion(id: string, body: t.NewTemplateVersion, options?: CreateOptions): Promise<t.ShownTemplate> {
    return this.api.call<t.ShownTemplate>({ method: 'POST', path: `/v1/templates/${encodeURIComponent(id)}/versions`, body, type: 'application/json', keyed: true }, options);
  }
}

export class ThreadsResource extends Resource {
  /**
   * List conversations
   *
   * The one with the newest mail first. A mail belongs to the conversation of the mail that it
   * answers (by References and In-Reply-To) if both have the same subject but for `Re:` and the like.
   *
   * Scope: `mail:read`.
   */
  list(query?: t.ListThreadsData['query'], options?: RequestOptions): Pages<t.Thread> {
    return this.api.pages<t.Thread>({ method: 'GET', path: '/v1/threads', query }, options);
  }

  /**
   * Get a conversation
   *
   * With its newest mails.
   *
   * Scope: `mail:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.ThreadDetail> {
    return this.api.call<t.ThreadDetail>({ method: 'GET', path: `/v1/threads/${encodeURIComponent(id)}` }, options);
  }
}

export class TransportsResource extends Resource {
  /**
   * List transports
   *
   * All transports, newest first.
   *
   * Scope: `admin:read`.
   */
  list(query?: t.ListTransportsData['query'], options?: RequestOptions): Pages<t.Transport> {
    return this.api.pages<t.Transport>({ method: 'GET', path: '/v1/transports', query }, options);
  }

  /**
   * Create a transport
   *
   * No mail takes it before a route leads to it, or somebody chooses it for deliveries
   * (`POST /v1/queue/bulk`). There are at most 100.
   *
   * Scope: `admin:write`.
   */
  create(body: t.NewTransport, options?: CreateOptions): Promise<t.Transport> {
    return this.api.call<t.Transport>({ method: 'POST', path: '/v1/transports', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a transport
   *
   * Everything but the password and the key of the certificate.
   *
   * Scope: `admin:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Transport> {
    return this.api.call<t.Transport>({ method: 'GET', path: `/v1/transports/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a transport
   *
   * Refused while routes lead to it. Deliveries that it was chosen for are deferred until another is.
   *
   * Scope: `admin:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/transports/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a transport
   *
   * A JSON merge patch: absent fields stay as they are. All nodes use it as it is now for attempts
   * that begin a moment later.
   *
   * Scope: `admin:write`.
   */
  update(id: string, body: t.TransportPatch, options?: ChangeOptions): Promise<t.Transport> {
    return this.api.call<t.Transport>({ method: 'PATCH', path: `/v1/transports/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }
}

export class UploadsResource extends Resource {
  /**
   * Upload a file
   *
   * Stores a file that messages can attach by its id, as often as they like, for 24 hours:
   * `"attachments": [{"upload_id": "upl_…"}]`. The body is the file as it is, of any `Content-Type`;
   * for `application/octet-stream`, which says nothing, the type is found out. An account has at most
   * 1,000 uploads with 1 GiB together.
   *
   * Scope: `send`.
   */
  create(body: RawBody, query?: t.CreateUploadData['query'], options?: CreateOptions): Promise<t.Upload> {
    return this.api.call<t.Upload>({ method: 'POST', path: '/v1/uploads', body, type: 'application/octet-stream', query, keyed: true }, options);
  }

  /**
   * Get an upload
   *
   * What is known of a file, until it expires.
   *
   * Scope: `send`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Upload> {
    return this.api.call<t.Upload>({ method: 'GET', path: `/v1/uploads/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete an upload
   *
   * Before it expires. Messages that attach it have it already.
   *
   * Scope: `send`.
   */
  delete(id: string, options?: RequestOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/uploads/${encodeURIComponent(id)}` }, options);
  }
}

export class WebhooksResource extends Resource {
  /**
   * List webhook endpoints
   *
   * Those of the account, newest first.
   *
   * Scope: `webhooks:read`.
   */
  list(query?: t.ListWebhooksData['query'], options?: RequestOptions): Pages<t.Webhook> {
    return this.api.pages<t.Webhook>({ method: 'GET', path: '/v1/webhooks', query }, options);
  }

  /**
   * Create a webhook endpoint
   *
   * It gets the events that happen from now on, each as a POST that is signed by the Standard
   * Webhooks scheme with the `secret` of the answer. An account has at most 50 endpoints.
   *
   * Scope: `webhooks:write`.
   */
  create(body: t.NewWebhook, options?: CreateOptions): Promise<t.CreatedWebhook> {
    return this.api.call<t.CreatedWebhook>({ method: 'POST', path: '/v1/webhooks', body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get a call of a webhook endpoint
   *
   * With the first 4 KiB of what was sent and of the answer.
   *
   * Scope: `webhooks:read`.
   */
  getDelivery(id: string, options?: RequestOptions): Promise<t.WebhookDelivery> {
    return this.api.call<t.WebhookDelivery>({ method: 'GET', path: `/v1/webhooks/deliveries/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Make a call of a webhook endpoint again
   *
   * The same event is sent once more, now, whatever came of it before: with the same `webhook-id` and
   * body, a new timestamp and signature. See the calls of this event for what comes of it. When it
   * fails, the schedule of attempts goes on as far as it has any left. Refused while the endpoint is
   * disabled, and when the event is no longer in the log.
   *
   * Scope: `webhooks:write`.
   */
  retryDelivery(id: string, options?: CreateOptions): Promise<t.WebhookDelivery> {
    return this.api.call<t.WebhookDelivery>({ method: 'POST', path: `/v1/webhooks/deliveries/${encodeURIComponent(id)}/retry`, keyed: true }, options);
  }

  /**
   * Get a replay
   *
   * How far it is.
   *
   * Scope: `webhooks:read`.
   */
  getReplay(id: string, options?: RequestOptions): Promise<t.WebhookReplay> {
    return this.api.call<t.WebhookReplay>({ method: 'GET', path: `/v1/webhooks/replays/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Cancel a replay
   *
   * Calls in progress end. One that has ended stays as it is.
   *
   * Scope: `webhooks:write`.
   */
  cancelReplay(id: string, options?: RequestOptions): Promise<t.WebhookReplay> {
    return this.api.call<t.WebhookReplay>({ method: 'POST', path: `/v1/webhooks/replays/${encodeURIComponent(id)}/cancel` }, options);
  }

  /**
   * Get a webhook endpoint
   *
   * Everything but the secret.
   *
   * Scope: `webhooks:read`.
   */
  get(id: string, options?: RequestOptions): Promise<t.Webhook> {
    return this.api.call<t.Webhook>({ method: 'GET', path: `/v1/webhooks/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Delete a webhook endpoint
   *
   * With its history. Requests in progress are broken off.
   *
   * Scope: `webhooks:write`.
   */
  delete(id: string, options?: ChangeOptions): Promise<void> {
    return this.api.call<void>({ method: 'DELETE', path: `/v1/webhooks/${encodeURIComponent(id)}` }, options);
  }

  /**
   * Change a webhook endpoint
   *
   * A JSON merge patch: absent fields stay as they are. An endpoint that is enabled again gets what
   * happened meanwhile, as far as the event log still has it.
   *
   * Scope: `webhooks:write`.
   */
  update(id: string, body: t.WebhookPatch, options?: ChangeOptions): Promise<t.Webhook> {
    return this.api.call<t.Webhook>({ method: 'PATCH', path: `/v1/webhooks/${encodeURIComponent(id)}`, body, type: 'application/json' }, options);
  }

  /**
   * List calls of a webhook endpoint
   *
   * Every attempt of the last 30 days, newest first.
   *
   * Scope: `webhooks:read`.
   */
  listDeliveries(id: string, query?: t.ListWebhookDeliveriesData['query'], options?: RequestOptions): Pages<t.WebhookDelivery> {
    return this.api.pages<t.WebhookDelivery>({ method: 'GET', path: `/v1/webhooks/${encodeURIComponent(id)}/deliveries`, query }, options);
  }

  /**
   * Disable a webhook endpoint
   *
   * It is not called until somebody enables it. One that is disabled stays as it is, with the reason
   * that it has.
   *
   * Scope: `webhooks:write`.
   */
  disable(id: string, options?: RequestOptions): Promise<t.Webhook> {
    return this.api.call<t.Webhook>({ method: 'POST', path: `/v1/webhooks/${encodeURIComponent(id)}/disable` }, options);
  }

  /**
   * Enable a webhook endpoint
   *
   * It goes on where it stopped: it gets what happened meanwhile, as far as the event log still has
   * it. One that is enabled stays as it is.
   *
   * Scope: `webhooks:write`.
   */
  enable(id: string, options?: RequestOptions): Promise<t.Webhook> {
    return this.api.call<t.Webhook>({ method: 'POST', path: `/v1/webhooks/${encodeURIComponent(id)}/enable` }, options);
  }

  /**
   * Replay events to a webhook endpoint
   *
   * Events of the log are sent again in their order, with their own ids, besides new events, which go
   * first: at most three calls of a replay are in progress. Domains, tags and the limit on deferred
   * events of the endpoint hold. What the endpoint was not told yet is not part of a replay: that
   * comes anyway. An endpoint has one replay at a time; while it is disabled, the replay waits.
   *
   * Scope: `webhooks:write`.
   */
  replay(id: string, body: t.NewWebhookReplay, options?: CreateOptions): Promise<t.WebhookReplay> {
    return this.api.call<t.WebhookReplay>({ method: 'POST', path: `/v1/webhooks/${encodeURIComponent(id)}/replay`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * List replays of a webhook endpoint
   *
   * Those that go on and those that ended in the last 30 days, newest first.
   *
   * Scope: `webhooks:read`.
   */
  listReplays(id: string, query?: t.ListWebhookReplaysData['query'], options?: RequestOptions): Pages<t.WebhookReplay> {
    return this.api.pages<t.WebhookReplay>({ method: 'GET', path: `/v1/webhooks/${encodeURIComponent(id)}/replays`, query }, options);
  }

  /**
   * Get the secret of a webhook endpoint
   *
   * Whoever has a `whsec_` secret can forge events: keep it as you keep a password. A `whpk_` key is
   * public.
   *
   * Scope: `webhooks:write`.
   */
  getSecret(id: string, options?: RequestOptions): Promise<t.WebhookSecret> {
    return this.api.call<t.WebhookSecret>({ method: 'GET', path: `/v1/webhooks/${encodeURIComponent(id)}/secret` }, options);
  }

  /**
   * Replace the secret of a webhook endpoint
   *
   * Until the overlap is over, `webhook-signature` has a signature of the new secret and one of each
   * that was replaced, so that receivers can change over when they like. At most four replaced
   * secrets sign at a time.
   *
   * Scope: `webhooks:write`.
   */
  rotateSecret(id: string, body: t.WebhookSecretRotation, options?: CreateOptions): Promise<t.WebhookSecret> {
    return this.api.call<t.WebhookSecret>({ method: 'POST', path: `/v1/webhooks/${encodeURIComponent(id)}/secret/rotate`, body, type: 'application/json', keyed: true }, options);
  }

  /**
   * Get the statistics of a webhook endpoint
   *
   * What came of its calls, how long they took, and what waits.
   *
   * Scope: `webhooks:read`.
   */
  getStatistics(id: string, options?: RequestOptions): Promise<t.WebhookStatistics> {
    return this.api.call<t.WebhookStatistics>({ method: 'GET', path: `/v1/webhooks/${encodeURIComponent(id)}/stats` }, options);
  }

  /**
   * Test a webhook endpoint
   *
   * Sends an event `webhook.test` to this endpoint alone, whatever types it wants. See its
   * deliveries for what came of it. Refused while the endpoint is disabled.
   *
   * Scope: `webhooks:write`.
   */
  test(id: string, options?: CreateOptions): Promise<t.WebhookTest> {
    return this.api.call<t.WebhookTest>({ method: 'POST', path: `/v1/webhooks/${encodeURIComponent(id)}/test`, keyed: true }, options);
  }
}

/** Every resource of the API. */
export class Resources {
  /** The caller's own account: passwords, sessions and logins. */
  readonly account: AccountResource;
  /** Accounts and their addresses, for administrators. */
  readonly accounts: AccountsResource;
  /** Keys of applications. */
  readonly apiKeys: ApiKeysResource;
  readonly auditLog: AuditLogResource;
  /** Access tokens for people who log in, and the keys that sign them. */
  readonly auth: AuthResource;
  readonly deliveries: DeliveriesResource;
  /** Domains that are served here. */
  readonly domains: DomainsResource;
  /** The event log: everything that happened, in order. */
  readonly events: EventsResource;
  readonly eventTypes: EventTypesResource;
  readonly inbound: InboundResource;
  readonly inboundRoutes: InboundRoutesResource;
  /** Mailboxes and the mail in them. */
  readonly mail: MailResource;
  readonly mailboxes: MailboxesResource;
  /** Sending, and what became of it. */
  readonly messages: MessagesResource;
  /** About the server itself. */
  readonly meta: MetaResource;
  readonly mtaStsPolicies: MtaStsPoliciesResource;
  /** The outgoing queue. */
  readonly queue: QueueResource;
  /** Reports between mail servers, for administrators. */
  readonly reports: ReportsResource;
  readonly routes: RoutesResource;
  /** Outgoing mail that never leaves the server: for development and tests. */
  readonly sandbox: SandboxResource;
  /** Recipients that are not written to, and unsubscribing. */
  readonly suppressions: SuppressionsResource;
  /** Stored templates of messages, in versions. */
  readonly templates: TemplatesResource;
  readonly threads: ThreadsResource;
  readonly transports: TransportsResource;
  readonly uploads: UploadsResource;
  /** Events, sent to your server. */
  readonly webhooks: WebhooksResource;

  constructor(api: Api) {
    this.account = new AccountResource(api);
    this.accounts = new AccountsResource(api);
    this.apiKeys = new ApiKeysResource(api);
    this.auditLog = new AuditLogResource(api);
    this.auth = new AuthResource(api);
    this.deliveries = new DeliveriesResource(api);
    this.domains = new DomainsResource(api);
    this.events = new EventsResource(api);
    this.eventTypes = new EventTypesResource(api);
    this.inbound = new InboundResource(api);
    this.inboundRoutes = new InboundRoutesResource(api);
    this.mail = new MailResource(api);
    this.mailboxes = new MailboxesResource(api);
    this.messages = new MessagesResource(api);
    this.meta = new MetaResource(api);
    this.mtaStsPolicies = new MtaStsPoliciesResource(api);
    this.queue = new QueueResource(api);
    this.reports = new ReportsResource(api);
    this.routes = new RoutesResource(api);
    this.sandbox = new SandboxResource(api);
    this.suppressions = new SuppressionsResource(api);
    this.templates = new TemplatesResource(api);
    this.threads = new ThreadsResource(api);
    this.transports = new TransportsResource(api);
    this.uploads = new UploadsResource(api);
    this.webhooks = new WebhooksResource(api);
  }
}
