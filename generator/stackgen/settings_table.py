"""THE table of settings. Parsing, validation, `init`'s questions, .env.example and docs/settings.md all read it."""

from dataclasses import dataclass

from stackgen import checks
from stackgen.logins import LOGINS
from stackgen.names import user_name


@dataclass(frozen=True)
class Setting:
    """One key of .env.

    `check` raises ValueError with the end of a sentence ("must be ..."); it sees only values that are not empty,
    because an empty value means the default, as in Compose's `${KEY:-default}`.
    """

    key: str
    help: str
    check: checks.Check
    default: str = ""
    question: str = ""  # what `init` asks, if it asks
    suggestion: str = ""  # the answer that `init` offers, where it is not the default
    choices: tuple[str, ...] = ()
    group: str = ""  # a heading in .env.example, at the first setting under it
    secret: bool = False  # never shown
    generated: bool = False  # made by `init`, 43 characters of [A-Za-z0-9_-]


_SWITCH = ("true", "false")
_TLS = ("self-signed", "acme", "files", "off")

TABLE: tuple[Setting, ...] = (
    Setting(
        "DOMAIN", "Host name under which users reach the stack.", checks.domain, "localhost",
        question="Domain", group="The site",
    ),
    Setting(
        "DOMAIN_ALIASES", "Other names and addresses of the stack, separated by commas. All others are refused.",
        checks.separated(",", checks.host),
    ),
    Setting(
        "STACK_LANGUAGE",
        "Language of JupyterLab, and of the hub's pages where a browser asks for neither: en or zh.",
        checks.choice("en", "zh"), "en", question="Language", choices=("en", "zh"),
    ),
    Setting("STACK_TITLE", "What pages call the site.", checks.one_line(60), "JupyterHub"),
    Setting(
        "STACK_LOGO", "A picture that pages show beside the title: an absolute path. See docs/pages.md.", checks.picture
    ),
    Setting("ANNOUNCEMENT", "A line of text on every page of the hub. See: stackgen announce.", checks.one_line(300)),
    Setting(
        "STACK_NAME", "Name of this stack, which its containers, networks and images carry: letters and digits.",
        checks.pattern(r"[a-z][a-z0-9]{0,29}", "1 to 30 lower case letters and digits, a letter first"), "stackgen",
    ),
    Setting(
        "TLS", "self-signed: a certificate made here. acme: Let's Encrypt's. files: your own. off: plain HTTP.",
        checks.choice(*_TLS), "self-signed", question="TLS mode", choices=_TLS, group="The front door",
    ),
    Setting("TLS_CERT", "With TLS=files: the certificate with its chain (PEM).", checks.path),
    Setting("TLS_KEY", "With TLS=files: its private key (PEM, no passphrase).", checks.path),
    Setting("ACME_EMAIL", "With TLS=acme: where the authority may write to you about the certificate.", checks.email),
    Setting(
        "ACME_STAGING", "With TLS=acme: true gets a certificate for trying out, which browsers do not trust.",
        checks.choice(*_SWITCH), "false",
    ),
    Setting(
        "ACME_SERVER", "With TLS=acme: directory URL of another authority than Let's Encrypt.", checks.https_url
    ),
    Setting(
        "HTTP_PORT", "Port for http, which redirects to https (with TLS=off: serves).", checks.number(1, 65535), "80",
    ),
    Setting("HTTPS_PORT", "Port for https.", checks.number(1, 65535), "443"),
    Setting(
        "BIND_ADDRESS", "Address of this machine that the ports listen on. Behind another proxy here: the loopback's.",
        checks.address, "0.0.0.0",  # noqa: S104
    ),
    Setting(
        "TRUSTED_PROXIES",
        "Addresses or networks of proxies in front, separated by commas: who they say that the client is, is believed.",
        checks.separated(",", checks.network),
    ),
    Setting(
        "AUTH", "How users log in. accounts, pam: with passwords that you give out. All others: docs/logins.md.",
        checks.choice(*LOGINS), "accounts", question="Login method", choices=tuple(LOGINS), group="Logins",
    ),
    Setting(
        "ADMIN_USERS", "User names of the admins, separated by commas. See: stackgen add-admin.",
        checks.separated(",", user_name), question="First admin", suggestion="admin",
    ),
    Setting(
        "ALLOW_SIGNUP", "true: people may sign up, and an admin lets each one in. For AUTH=accounts.",
        checks.choice(*_SWITCH), "false",
    ),
    Setting(
        "ALLOW_ALL", "true: everybody whom the login's provider knows may log in.", checks.choice(*_SWITCH), "false",
        choices=_SWITCH,
    ),
    Setting(
        "ALLOWED_GROUPS",
        "Groups of the provider whose members may log in, separated by commas (LDAP: DNs, separated by semicolons).",
        checks.groups,
    ),
    Setting(
        "ADMIN_GROUPS", "Groups of the provider whose members are admins. For AUTH=piculator, oidc and azuread.",
        checks.groups,
    ),
    Setting(
        "OAUTH_CLIENT_ID", "What the provider calls this stack: its client id.", checks.oauth_word,
        group="Logins at a provider",
    ),
    Setting("OAUTH_CLIENT_SECRET", "The secret that goes with the client id.", checks.oauth_word, secret=True),
    Setting(
        "OAUTH_CALLBACK_URL",
        "Where the provider sends users back: https://DOMAIN/hub/oauth_callback, if not given. TLS=off needs it.",
        checks.url,
    ),
    Setting("OAUTH_SCOPES", "Scopes to ask for instead of the usual ones, separated by spaces.", checks.oauth_scopes),
    Setting(
        "USERNAME_CLAIM", "The claim that holds the user name, if not the usual one. Not for github, gitlab, google.",
        checks.claim,
    ),
    Setting(
        "GROUPS_CLAIM", "The claim that holds the groups. For AUTH=piculator, oidc and azuread.", checks.claim, "groups"
    ),
    Setting("LOGIN_SERVICE", "The provider's name on the login button, if not the usual one.", checks.printable),
    Setting("PICULATOR_URL", "Address of Piculator, such as https://piculator.example.edu.", checks.https_url),
    Setting("PICULATOR_AUTHORIZE_URL", "Piculator's page for logins, if not /oauth/authorize.", checks.https_url),
    Setting("PICULATOR_TOKEN_URL", "Piculator's token endpoint, if not /oauth/token.", checks.https_url),
    Setting("PICULATOR_USERINFO_URL", "Piculator's userinfo endpoint, if not /oauth/userinfo.", checks.https_url),
    Setting("PICULATOR_LOGOUT_URL", "Piculator's page for logging out.", checks.https_url),
    Setting(
        "OIDC_ISSUER", "The provider's issuer, just as its /.well-known/openid-configuration has it.", checks.https_url
    ),
    Setting("GITLAB_URL", "Address of GitLab.", checks.https_url, "https://gitlab.com"),
    Setting(
        "GOOGLE_DOMAINS", "Google Workspace domains, separated by commas; accounts of others are refused.",
        checks.separated(",", checks.domain),
    ),
    Setting(
        "AZUREAD_TENANT", "Tenant id of the organization; accounts of others are refused.",
        checks.pattern(
            r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "32 hexadecimal digits in groups of 8-4-4-4-12"
        ),
    ),
    Setting(
        "CILOGON_IDPS", "Entity ids of the universities whose accounts count, separated by spaces.",
        checks.pattern(r"(urn:|https?://)\S+( +(urn:|https?://)\S+)*", "entity ids, which begin with https:// or urn:"),
    ),
    Setting("LDAP_SERVER", "Host name of the directory.", checks.domain, group="Logins from an LDAP directory"),
    Setting(
        "LDAP_TLS", "How the connection is encrypted: ldaps or start-tls.", checks.choice("ldaps", "start-tls"), "ldaps"
    ),
    Setting("LDAP_PORT", "Port of the directory, if not 636 (ldaps) or 389 (start-tls).", checks.number(1, 65535)),
    Setting(
        "LDAP_BIND_DN", "The DN of each user, such as uid={username},ou=people,dc=example,dc=edu; or LDAP_SEARCH_BASE.",
        checks.bind_dn,
    ),
    Setting(
        "LDAP_SEARCH_BASE", "The DN under which users are searched for, such as ou=people,dc=example,dc=edu.",
        checks.pattern(r"[^\s=]+=.*", "a DN, such as ou=people,dc=example,dc=edu"),
    ),
    Setting("LDAP_SEARCH_USER", "The DN as which the hub searches; if not given, anonymously.", checks.printable),
    Setting("LDAP_SEARCH_PASSWORD", "The password of LDAP_SEARCH_USER.", checks.printable, secret=True),
    Setting(
        "LDAP_USER_ATTRIBUTE", "The attribute that holds the user name; sAMAccountName in Active Directory.",
        checks.pattern(r"[A-Za-z][A-Za-z0-9-]*", "the name of an attribute, such as uid"), "uid",
    ),
    Setting(
        "MEM_LIMIT", "Memory of each user's server.", checks.memory, "500M",
        question="Memory per user", group="Each user's server",
    ),
    Setting(
        "UI", "What users begin with: lab (JupyterLab) or notebook (Notebook 7, lighter on slow networks).",
        checks.choice("lab", "notebook"), "lab",
    ),
    Setting("CPU_LIMIT", "CPUs that each user's server may use.", checks.cpus, "2"),
    Setting("PIDS_LIMIT", "Processes and threads that each user's server may have.", checks.number(64, 100_000), "512"),
    Setting(
        "IDLE_TIMEOUT", "Seconds after which an idle server is stopped; 0: never.", checks.number(0, 10**8), "3600"
    ),
    Setting(
        "VOLUME_PREFIX", "The volume of a user is called this and the user's name.",
        checks.pattern(
            r"[a-z0-9][a-z0-9_.-]{0,60}-", "lower case letters, digits, `.`, `_` and `-`, with a `-` at the end"
        ),
        "jupyterhub-user-",
    ),
    Setting(
        "VOLUME_QUOTA",
        "What each user's volume may hold, such as 5G: a limit where the file system has project quotas, else only a "
        "warning. See docs/volumes.md.", checks.size,
    ),
    Setting(
        "SHARED_FOLDER", "The folder in every user's notebooks that stackgen publish fills.",
        checks.pattern(r"\w[\w-]{0,59}", "a name of at most 60 letters, digits, `_` and `-`"), "shared",
    ),
    Setting(
        "SAGE_IMAGE", "Another image for users' servers, on this machine or in a registry; then none is built.",
        checks.image, group="Images",
    ),
    Setting(
        "SAGE_EXTRA_PIP", "Python packages for the image of users' servers, separated by spaces, such as pandas.",
        checks.pip_requirements,
    ),
    Setting(
        "SAGE_EXTRA_APT", "Debian packages for that image, separated by spaces. See docs/sage-image.md.",
        checks.apt_packages,
    ),
    Setting("BASE_IMAGE", "Debian image that all images are built from. See: stackgen base-image.", checks.image,
            "debian:trixie-slim"),
    Setting("APT_MIRROR", "Debian mirror for builds, such as http://mirror.example.edu/debian.", checks.url),
    Setting("PIP_INDEX_URL", "Python package index for builds and for users' pip install.", checks.url),
    Setting(
        "DATABASE_URL", "SQLAlchemy URL of the hub's database, if not SQLite in a volume.",
        checks.pattern(r"[a-z0-9+]+://\S+", "an SQLAlchemy URL, such as postgresql+psycopg://user:password@host/name"),
        "sqlite:////srv/jupyterhub/data/jupyterhub.sqlite", secret=True, group="The hub",
    ),
    Setting("PROXY_TOKEN", "What the hub says to nginx.", checks.token, secret=True, generated=True),
    Setting("HUB_API_TOKEN", "What stackgen says to the hub.", checks.token, secret=True, generated=True),
    Setting(
        "CRYPT_KEY", "Encrypts what the hub keeps of logins at a provider.", checks.token, secret=True, generated=True
    ),
    Setting(
        "BACKUP_REPOSITORY",
        "Where backups go: a folder (absolute path), sftp:, s3: or rest:, as restic writes them. See docs/backup.md.",
        checks.repository, group="Backup",
    ),
    Setting(
        "BACKUP_PASSWORD", "Encrypts the repository. Without it no backup can be read: keep a copy elsewhere.",
        checks.printable, secret=True,
    ),
    Setting(
        "BACKUP_KEEP", "Snapshots to keep: the last ones, or one of each of so many hours, days, weeks... or all.",
        checks.keep, "daily=7,weekly=5,monthly=12",
    ),
    Setting(
        "BACKUP_SCHEDULE",
        "When the stack backs itself up each day, and in which time zone (if not UTC), such as 03:30 Asia/Shanghai.",
        checks.daily,
    ),
    Setting("BACKUP_S3_KEY_ID", "For s3: the id of the access key.", checks.oauth_word),
    Setting("BACKUP_S3_SECRET", "For s3: the secret of the access key.", checks.oauth_word, secret=True),
    Setting("BACKUP_S3_REGION", "For s3: the region of the bucket.", checks.pattern(r"[a-z0-9-]+", "a region's name")),
    Setting("BACKUP_REST_USER", "For rest: a user name, where the server wants one.", checks.printable),
    Setting("BACKUP_REST_PASSWORD", "For rest: that user's password.", checks.printable, secret=True),
    Setting("BACKUP_SSH_KEY", "For sftp: path of a private key (no passphrase).", checks.path),
    Setting("BACKUP_SSH_KNOWN_HOSTS", "For sftp: path of a known_hosts file with the server's key.", checks.path),
    Setting("DOCKER_VOLUMES", "The engine's folder of volumes.", checks.path, "/var/lib/docker/volumes"),
)  # fmt: skip

BY_KEY = {setting.key: setting for setting in TABLE}
